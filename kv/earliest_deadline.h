// When the next key may expire, so that a member knows without looking at the disk that
// none is due.
#pragma once

#include <deque>
#include <utility>

#include "raft/core/types.h"

namespace raftkv::kv {

// A lower bound: no key is due before it, but the key that set it may be gone by now. Deadlines
// applied lower it, a scan of the rows raises it. Confined to the loop's thread.
class EarliestDeadline {
 public:
  // `stored` is the first row's deadline, 0 when there is none.
  explicit EarliestDeadline(raft::ClusterMillis stored) : earliest_(stored) {}

  // 0 when no key has a deadline.
  raft::ClusterMillis value() const { return earliest_; }

  // A run that ends at `index` wrote rows of which `deadline` is the first.
  void OnApplied(raft::LogIndex index, raft::ClusterMillis deadline);
  // A scan of the state as of `applied` found nothing before `next_deadline` (0: no row at all).
  void OnScanned(raft::LogIndex applied, raft::ClusterMillis next_deadline);

 private:
  raft::ClusterMillis earliest_;
  // Deadlines written since the last scan, each with the last index of its run; both ascend, so the
  // front is the earliest after any index. At most kRecentMax.
  std::deque<std::pair<raft::LogIndex, raft::ClusterMillis>> recent_;
};

}  // namespace raftkv::kv
