// A node's lower bound of cluster time.
#pragma once

#include "base/clock.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// The largest stamp seen plus the node's own monotonic time since. It never goes back, wall clocks
// do not touch it, and time during which the whole cluster was down does not count. Confined to the
// loop's thread.
class ClusterClock {
 public:
  // Starts at `restored`: the largest stamp that the node had seen when it stopped.
  ClusterClock(ClusterMillis restored, const MonotonicClock* clock);

  // Rounded down to the millisecond.
  ClusterMillis Now() const;
  // Takes note of a stamp; ignored when it is behind Now().
  void Observe(ClusterMillis stamp);

 private:
  const MonotonicClock* const clock_;
  // Now() == stamp_ + (clock_->Now() - seen_at_).
  ClusterMillis stamp_;
  MonotonicNanos seen_at_;
};

}  // namespace raftkv::raft
