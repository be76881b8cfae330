// Snapshots (thesis §5): when a leader wants one brought, and what a follower makes of one.
#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "raft/core/raft_core.h"

namespace raftkv::raft {

void RaftCore::OnEntriesTrimmed(NodeId peer) {
  const InvariantScope scope(this);
  if (FollowerProgress* progress = CloseLoad(peer)) {
    progress->OnTrimmed();
    output_.snapshots.push_back(peer);
  }
}

void RaftCore::OnSnapshotEnded(NodeId peer) {
  const InvariantScope scope(this);
  Leader* leader = leader_role();
  if (leader == nullptr) {
    return;
  }
  if (FollowerProgress* progress = leader->Find(peer)) {
    progress->OnSnapshotEnded(log_.last().index);
  }
}

// What memory does not reach is committed, so that a point there is of no use anyhow.
RaftCore::SnapshotUse RaftCore::UseOf(const SnapshotPoint& point, Term snapshot_term) const {
  if (snapshot_term != term() || leader_of_term_ == self_ || point.last.term > term() ||
      point.last.index <= log_.commit_index()) {
    return SnapshotUse::kNone;
  }
  const bool holds = log_.TermAt(point.last.index) == point.last.term;
  // No leader's snapshot contradicts what agrees with it, or falls behind what is committed.
  const auto* follower = std::get_if<Follower>(&role_);
  if (!holds && follower != nullptr && point.last.index <= follower->verified) {
    return SnapshotUse::kNone;
  }
  if (point.last.term < *log_.TermAt(log_.commit_index()) ||
      point.stamp < log_.StampAt(log_.commit_index())) {
    return SnapshotUse::kNone;
  }
  return holds ? SnapshotUse::kKeepsLog : SnapshotUse::kReplacesLog;
}

// Nothing is committed at or after the point where the log contradicts it, since the point itself
// is; so no vote and no acknowledgement rests on what is going to go.
RaftCore::SnapshotUse RaftCore::BeginInstall(const SnapshotPoint& point, Term snapshot_term) {
  const InvariantScope scope(this);
  CHECK(!is_installing());
  CHECK(!log_.has_unwritten());
  const SnapshotUse use = UseOf(point, snapshot_term);
  if (use == SnapshotUse::kNone) {
    return use;
  }
  // Somebody leads the term, so this node will not (thesis §3.4).
  if (role() != RaftRole::kFollower) {
    BecomeFollower(term(), leader_of_term_,
                   {.reason = EventCause::Reason::kLeaderHeard, .peer = leader_of_term_});
  }
  installing_ = Installing{.point = point, .use = use};
  return use;
}

void RaftCore::OnInstalled(const SnapshotMeta& snapshot) {
  const InvariantScope scope(this);
  CHECK(is_installing());
  const Installing installing = *std::exchange(installing_, std::nullopt);
  CHECK(installing.point == snapshot.point);
  const bool keeps_log = installing.use == SnapshotUse::kKeepsLog;
  if (keeps_log) {
    log_.AdvanceTo(snapshot.point.last);
  } else {
    log_.ResetTo(snapshot);
  }
  EmitEvent(
      Event::Kind::kSnapshotInstalled,
      {.reason = keeps_log ? EventCause::Reason::kLogHeldIt : EventCause::Reason::kLogLackedIt},
      snapshot.point.last.index);
  MaybeSwitchConfiguration();
  // What is committed is in the log of every later leader (thesis §3.6.3), whoever leads by now.
  auto& follower = std::get<Follower>(role_);
  follower.verified = std::max(follower.verified, snapshot.point.last.index);
  follower.acknowledgement_due = follower.leader != kNobody;
}

LogIndex RaftCore::held_by_all() const {
  if (const auto* follower = std::get_if<Follower>(&role_)) {
    return follower->held_by_all;
  }
  const Leader* leader = leader_role();
  if (leader == nullptr) {
    return LogIndex(0);
  }
  // Followers may have synced what this member has not: it would lack that after a crash.
  LogIndex held = log_.durable_index();
  for (const auto& [peer, progress] : leader->followers) {
    held = std::min(held, progress.match_index());
  }
  return held;
}

}  // namespace raftkv::raft
