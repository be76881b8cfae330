#include "kv/lease.h"

#include <algorithm>
#include <limits>

namespace raftkv::kv {

raft::ClusterMillis DeadlineOf(const Lease& lease, raft::ClusterMillis term_began) {
  constexpr uint64_t kLast = std::numeric_limits<uint64_t>::max();
  const raft::ClusterMillis from = std::max(lease.renewed, term_began);
  if (lease.lasts_ms >= kLast - from.value()) {
    return raft::ClusterMillis(kLast);
  }
  return from + (lease.lasts_ms + 1);
}

const Lease* LeaseTable::Find(int64_t id) const {
  const auto found = leases_.find(id);
  return found == leases_.end() ? nullptr : &found->second;
}

void LeaseTable::Put(const Lease& lease) {
  const auto [place, is_new] = leases_.try_emplace(lease.id, lease);
  if (!is_new) {
    by_deadline_.erase({DeadlineOf(place->second, raft::ClusterMillis(0)), lease.id});
    place->second = lease;
  }
  by_deadline_.emplace(DeadlineOf(lease, raft::ClusterMillis(0)), lease.id);
}

void LeaseTable::Erase(int64_t id) {
  const auto found = leases_.find(id);
  if (found != leases_.end()) {
    by_deadline_.erase({DeadlineOf(found->second, raft::ClusterMillis(0)), id});
    leases_.erase(found);
  }
}

std::vector<Lease> LeaseTable::FindDue(raft::ClusterMillis now, raft::ClusterMillis term_began,
                                       size_t max) const {
  std::vector<Lease> due;
  for (const auto& [deadline, id] : by_deadline_) {
    if (deadline > now || due.size() == max) {
      break;
    }
    const Lease& lease = leases_.at(id);
    if (DeadlineOf(lease, term_began) <= now) {
      due.push_back(lease);
    }
  }
  return due;
}

}  // namespace raftkv::kv
