// Whom this member can bring its requests to.
#pragma once

#include <optional>

#include "base/clock.h"
#include "raft/core/raft_core.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// What the core knows of leadership, less the leaders that said they do not lead, and since when
// there is nobody. Confined to the loop's thread.
class LeaderWatch {
 public:
  explicit LeaderWatch(MonotonicNanos now) : leaderless_since_(now) {}

  // Looks at the core. Returns whether leader or term changed since the last look.
  bool Update(const RaftCore& core, MonotonicNanos now);
  // The leader of `term` answered that it does not lead. That holds for good: who stops leading a
  // term never leads it again (thesis §3.4, one leader a term), so nothing is sent to it until the
  // term changes.
  void OnRefused(Term term, MonotonicNanos now);
  // A request to the leader left, or certainly did not.
  void OnForward(bool left, MonotonicNanos now);
  // Lets a request to the leader be tried again.
  void OnTick() { forward_blocked_ = false; }

  bool leading() const { return leading_; }
  Term term() const { return term_; }
  // Another member that should take requests; kNobody when this one leads or there is none.
  NodeId leader() const { return refused_term_ < term_ ? leader_ : kNobody; }
  // Whether a request may go to leader() now. A refused attempt is not repeated before the next
  // tick: it costs a copy.
  bool CanForward() const { return leader() != kNobody && !forward_blocked_; }

  // Set while neither this member nor leader() leads.
  std::optional<MonotonicNanos> leaderless_since() const { return leaderless_since_; }
  // Set while requests have nowhere to go: no leader, or one that they do not reach.
  std::optional<MonotonicNanos> nowhere_since() const;

 private:
  void UpdateLeaderless(MonotonicNanos now);

  bool leading_ = false;
  Term term_;
  NodeId leader_ = kNobody;  // Never this member.
  // The newest term whose leader refused.
  Term refused_term_;
  bool forward_blocked_ = false;
  std::optional<MonotonicNanos> leaderless_since_;
  // Set from the first request that did not leave to the next that does.
  std::optional<MonotonicNanos> unreachable_since_;
};

}  // namespace raftkv::raft
