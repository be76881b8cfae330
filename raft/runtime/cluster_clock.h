// A node's lower bound of cluster time.
#pragma once

#include "base/clock.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// What a clock of cluster time showed, and the term of the leader whose time it was.
struct ClusterReading {
  Term term;
  ClusterMillis time;

  friend bool operator==(const ClusterReading&, const ClusterReading&) = default;
};

// Where the clock of a restarted node goes on: at `saved`, or at the term and stamp of the log's
// end. Of two terms the later decides, whatever the times: until it heard of its last leader the
// node may have been ahead of it by as much as their processes had started apart
// (docs/adr/0005-followers-take-their-leaders-time.md).
ClusterReading RestoredReading(const ClusterReading& saved, const ClusterReading& log_end);

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
  // Goes on from `restored`, the RestoredReading of what the node kept.
  ClusterClock(const ClusterReading& restored, const MonotonicClock* clock);

  // Rounded down to the millisecond.
  ClusterMillis Now() const;
  // Now(), and whose time that is; what to save for a restart.
  ClusterReading Read() const { return {.term = term_, .time = Now()}; }
  // From now on this node's own count is the time of `term`, which it leads.
  // REQUIRES: no later leader was heard of.
  void Lead(Term term);
  // Takes note of what the leader of `term` stamped on a message. Ignored when it is of an older
  // term, or not above the last one in the same: messages may overtake each other.
  void Observe(Term term, ClusterMillis stamp);

 private:
  const MonotonicClock* const clock_;
  // The newest leader heard of.
  Term term_;
  // Now() == stamp_ + (clock_->Now() - seen_at_).
  ClusterMillis stamp_;
  MonotonicNanos seen_at_;
};

}  // namespace raftkv::raft
