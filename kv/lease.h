// A lease: a life that whoever granted it prolongs, and on which keys hang. It is about liveness:
// what it says is "somebody was there so and so long ago", so time in which nobody could renew it
// does not count, unlike a key's own time to live, which is data.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "raft/core/types.h"

namespace raftkv::kv {

// A part of the applied state.
struct Lease {
  int64_t id = 0;
  uint64_t ttl_ms = 0;          // As it was granted.
  uint64_t lasts_ms = 0;        // From the last renewal, or the grant, on.
  raft::ClusterMillis renewed;  // The stamp of that.
  uint64_t keys = 0;            // That hang on it.
  uint64_t keys_max = 0;

  friend bool operator==(const Lease&, const Lease&) = default;
};

// The figures of all leases. A part of the applied state.
struct LeaseTotals {
  uint64_t count = 0;
  uint64_t rows_hash = 0;  // The sum of their hashes (kv/state_hash.h), modulo 2^64.
  // The stamp of the first entry of the term that the last entry is of. Leases live from there on,
  // or from their renewal, whichever is later: before it they may have had no leader that could
  // renew them.
  raft::ClusterMillis term_began;

  friend bool operator==(const LeaseTotals&, const LeaseTotals&) = default;
};

// The first moment at which the lease is over: its time has certainly passed then, though stamps
// are rounded down.
raft::ClusterMillis DeadlineOf(const Lease& lease, raft::ClusterMillis term_began);

// All leases of an applied state, in memory: so who writes a key that hangs on one waits for no
// disk. Confined to one thread, or constant.
class LeaseTable {
 public:
  // By id.
  using Leases = absl::btree_map<int64_t, Lease>;

  const Leases& leases() const { return leases_; }
  // Valid until the next change; null: there is none.
  const Lease* Find(int64_t id) const;
  void Put(const Lease& lease);
  void Erase(int64_t id);

  // Those that are over at `now`, at most `max`, those that were to end first before others.
  std::vector<Lease> FindDue(raft::ClusterMillis now, raft::ClusterMillis term_began,
                             size_t max) const;

 private:
  Leases leases_;
  // By when they end if no leader changes.
  std::set<std::pair<raft::ClusterMillis, int64_t>> by_deadline_;
};

}  // namespace raftkv::kv
