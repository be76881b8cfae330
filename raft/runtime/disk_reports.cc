#include "raft/runtime/disk_reports.h"

#include <utility>
#include <variant>

namespace raftkv::raft {

void DiskReports::Note(const RaftCore& core, const Envelope& envelope) {
  const auto* heartbeat = std::get_if<Heartbeat>(&envelope.message);
  const auto* reply = std::get_if<HeartbeatReply>(&envelope.message);
  const bool leads = core.role() == RaftRole::kLeader;
  const bool from_leader = heartbeat != nullptr && core.leader() == envelope.from && !leads;
  const bool to_leader = reply != nullptr && leads && core.configuration().IsMember(envelope.from);
  if (envelope.term != core.term() || !(from_leader || to_leader)) {
    return;
  }
  if (term_ != envelope.term) {
    term_ = envelope.term;
    low_.clear();
  }
  if (from_leader) {
    low_ = {heartbeat->news.low_on_disk.begin(), heartbeat->news.low_on_disk.end()};
  } else if (reply->news.low_on_disk) {
    low_.insert(envelope.from);
  } else {
    low_.erase(envelope.from);
  }
}

std::vector<NodeId> DiskReports::Low(const RaftCore& core) const {
  std::set<NodeId> low;
  if (term_ == core.term() && core.leader() != kNobody) {
    low = low_;
  }
  if (core.role() == RaftRole::kLeader) {
    std::erase_if(low, [&core](NodeId member) {
      return !core.configuration().IsVoter(member) || !core.HasContact(member);
    });
  }
  if (own_ && core.configuration().IsVoter(core.self())) {
    low.insert(core.self());
  }
  return {low.begin(), low.end()};
}

}  // namespace raftkv::raft
