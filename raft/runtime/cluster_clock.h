// A node's lower bound of cluster time.
#pragma once

#include "base/clock.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// The newest stamp of the newest leader heard of, plus the node's own monotonic time since it was
// seen: never ahead of that leader's clock by more than the two clocks differ over that time. Wall
// clocks do not touch it, and time during which the whole cluster was down does not count.
//
// A newer stamp replaces what the one before it amounted to, even when it is lower: deadlines are
// counted on the clocks of leaders, and a node whose clock ran ahead of the one that it follows
// would let keys expire early when it leads next
// (docs/adr/0005-followers-take-their-leaders-time.md). Confined to the loop's thread.
class ClusterClock {
 public:
  // Starts at `restored`: the largest stamp that the node had seen when it stopped.
  ClusterClock(ClusterMillis restored, const MonotonicClock* clock);

  // Rounded down to the millisecond.
  ClusterMillis Now() const;
  // Takes note of what the leader of `term` stamped on a message. Ignored when it is of an older
  // term, or not above the last one in the same: messages may overtake each other.
  void Observe(Term term, ClusterMillis stamp);

 private:
  const MonotonicClock* const clock_;
  // The newest leader heard of since the start.
  Term term_;
  // Now() == stamp_ + (clock_->Now() - seen_at_).
  ClusterMillis stamp_;
  MonotonicNanos seen_at_;
};

}  // namespace raftkv::raft
