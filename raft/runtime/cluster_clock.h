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

// Where the clock of a restarted node goes on: at `saved`, unless the log ends in an entry of
// another leader; then at that entry's stamp, whatever the times, because the two leaders' clocks
// may be apart by as much as their processes had started (ADR 5).
ClusterReading RestoredReading(const ClusterReading& saved, const ClusterReading& log_end);

// The newest stamp of the leader whose entry is the last of the node's log, plus the node's own
// monotonic time since it was seen: never ahead of that leader's clock by more than the two clocks
// differ over that time. Wall clocks do not touch it, and time during which the whole cluster was
// down does not count.
//
// Deadlines are counted on the clocks of the leaders that stamped the entries, and a node that
// leads next with these entries and a clock ahead of those would let keys expire early. So a newer
// stamp replaces what the one before it amounted to, even when it is lower, and the time of a
// leader whose entries the node does not have says nothing about the entries that it has
// (docs/adr/0005-followers-take-their-leaders-time.md). Confined to the loop's thread.
class ClusterClock {
 public:
  // Goes on from `restored`, the RestoredReading of what the node kept.
  ClusterClock(const ClusterReading& restored, const MonotonicClock* clock);

  // Rounded down to the millisecond.
  ClusterMillis Now() const;
  // Now(), and whose time that is; what to save for a restart.
  ClusterReading Read() const { return {.term = term_, .time = Now()}; }
  // From now on this node's own count, which is not below the stamp of its log's end, is the time
  // of the term that it leads. REQUIRES: its log ends in that term.
  void Lead(const ClusterReading& log_end);
  // The node's log ends in an entry of this term and stamp. Where that is another leader's than the
  // last one was, of a later or of an earlier term, the clock starts at the stamp: a lower bound of
  // that leader's time. Of the same leader's, the clock goes on from the stamp if that is ahead:
  // whoever catches up with an old leader's entries gets them from another, whose time is not
  // listened to.
  void FollowLog(const ClusterReading& log_end);
  // Takes note of what the leader of `term` stamped on a message. Ignored when the log ends in
  // another term, or when it is not above the last one: messages may overtake each other.
  void Observe(Term term, ClusterMillis stamp);

 private:
  void Set(ClusterMillis stamp);
  void RaiseTo(ClusterMillis stamp);

  const MonotonicClock* const clock_;
  // Of the log's last entry, as far as told.
  Term term_;
  // Now() == stamp_ + (clock_->Now() - seen_at_).
  ClusterMillis stamp_;
  MonotonicNanos seen_at_;
};

}  // namespace raftkv::raft
