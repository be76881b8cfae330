#include "raft/runtime/leader_watch.h"

#include <algorithm>

namespace raftkv::raft {

bool LeaderWatch::Update(const RaftCore& core, MonotonicNanos now) {
  const bool leading = core.role() == RaftRole::kLeader;
  const NodeId leader = core.leader() == core.self() ? kNobody : core.leader();
  if (leading == leading_ && leader == leader_ && core.term() == term_) {
    return false;
  }
  leading_ = leading;
  leader_ = leader;
  term_ = core.term();
  forward_blocked_ = false;
  unreachable_since_.reset();
  UpdateLeaderless(now);
  return true;
}

void LeaderWatch::OnRefused(Term term, MonotonicNanos now) {
  refused_term_ = std::max(refused_term_, term);
  UpdateLeaderless(now);
}

void LeaderWatch::OnForward(bool left, MonotonicNanos now) {
  forward_blocked_ = !left;
  if (left) {
    unreachable_since_.reset();
  } else if (!unreachable_since_.has_value()) {
    unreachable_since_ = now;
  }
}

std::optional<MonotonicNanos> LeaderWatch::nowhere_since() const {
  if (leaderless_since_.has_value() && unreachable_since_.has_value()) {
    return std::min(*leaderless_since_, *unreachable_since_);
  }
  return leaderless_since_.has_value() ? leaderless_since_ : unreachable_since_;
}

void LeaderWatch::UpdateLeaderless(MonotonicNanos now) {
  if (leading_ || leader() != kNobody) {
    leaderless_since_.reset();
  } else if (!leaderless_since_.has_value()) {
    leaderless_since_ = now;
  }
}

}  // namespace raftkv::raft
