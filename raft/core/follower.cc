// Followers: thesis §3.5.
#include <glog/logging.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "raft/core/raft_core.h"

namespace raftkv::raft {
Follower& RaftCore::FollowSender(const Envelope& envelope) {
  CHECK_EQ(envelope.term, term());
  CHECK(leader_of_term_ == kNobody || leader_of_term_ == envelope.from)
      << "both " << leader_of_term_ << " and " << envelope.from << " lead term " << term();
  auto* follower = std::get_if<Follower>(&role_);
  if (follower == nullptr || follower->leader != envelope.from) {
    BecomeFollower(term(), envelope.from,
                   {.reason = EventCause::Reason::kLeaderHeard, .peer = envelope.from});
    follower = &std::get<Follower>(role_);
  }
  HearLeader(follower);
  return *follower;
}

void RaftCore::HearLeader(Follower* follower) {
  follower->ticks_since_leader = 0;
  follower->leader_unreachable = false;
  follower->election = NewElectionTimer();
}

void RaftCore::OnPartHeard(NodeId leader, Term message_term) {
  const InvariantScope scope(this);
  auto* follower = std::get_if<Follower>(&role_);
  if (follower != nullptr && follower->leader == leader && leader != kNobody &&
      message_term == term()) {
    HearLeader(follower);
  }
}

void RaftCore::HandleAppendRequest(const Envelope& envelope, AppendRequest request) {
  Follower& follower = FollowSender(envelope);
  // As lost: while a snapshot is installed the log store is told what stays of the log, so nothing
  // about it changes. The leader asks again.
  if (is_installing()) {
    return;
  }
  if (!HoldsEntry(request.previous)) {
    RejectAppend(envelope, request.previous);
    return;
  }
  const LogIndex end = request.previous.index + request.entries.size();
  const std::optional<LogIndex> truncated_from = log_.Merge(std::move(request.entries));
  if (truncated_from.has_value()) {
    CHECK_GT(*truncated_from, follower.verified) << "the leader contradicts itself";
    EmitEvent(Event::Kind::kLogTruncated, {.reason = EventCause::Reason::kLogConflict},
              *truncated_from);
  }
  MaybeSwitchConfiguration();
  // What agreed once in this term agrees for ever: both logs only change by what this leader
  // appends. Nothing beyond it may be committed, however far the leader is (thesis figure 3.1, rule
  // 5 of AppendEntries).
  follower.verified = std::max(follower.verified, end);
  log_.CommitTo(std::min(request.commit_index, follower.verified));
  if (PromisedIndex(follower) >= end) {
    follower.acknowledgement_due = true;
  }
}

// What is committed is in every leader's log (thesis §3.6.3), so it agrees whether or not it can
// still be looked up.
bool RaftCore::HoldsEntry(EntryId id) const {
  return id.index <= log_.commit_index() || log_.TermAt(id.index) == id.term;
}

// The leader's entries before `previous` have at most its term, so own entries of higher terms
// cannot agree: the hint skips them at once, but never what is committed (thesis §3.5, last
// paragraph but one).
void RaftCore::RejectAppend(const Envelope& envelope, EntryId previous) {
  const LogIndex before = previous.index.Previous();
  const LogIndex agree =
      std::max(log_.commit_index(), log_.LastIndexWithTermAtMost(before, previous.term));
  const std::optional<Term> agree_term = log_.TermAt(agree);
  CHECK(agree_term.has_value());
  Reply(envelope, AppendRejected{.rejected_index = previous.index,
                                 .hint = {.term = *agree_term, .index = agree}});
}

void RaftCore::HandleHeartbeat(const Envelope& envelope, const Heartbeat& heartbeat) {
  // A leader tells of nothing that this node has not acknowledged to it, so the log agrees that
  // far.
  Follower& follower = FollowSender(envelope);
  if (!is_installing() && log_.CommitTo(heartbeat.commit_index)) {
    follower.verified = std::max(follower.verified, heartbeat.commit_index);
  }
  follower.held_by_all = heartbeat.held_by_all;
  if (heartbeat.round != RoundId(0)) {
    Reply(envelope, HeartbeatReply{.round = heartbeat.round});
  }
}

// An acknowledgement promises that what it names is durable and agrees with this term's leader.
LogIndex RaftCore::PromisedIndex(const Follower& follower) const {
  return std::min(follower.verified, log_.durable_index());
}

// What a leader waits for goes out as soon as a write carries it on.
void RaftCore::MaybeAcknowledge(Follower& follower) {
  if (follower.leader != kNobody && PromisedIndex(follower) > follower.acknowledged) {
    follower.acknowledgement_due = true;
  }
}

void RaftCore::SendAcknowledgement(Follower& follower) {
  if (!follower.acknowledgement_due) {
    return;
  }
  CHECK_NE(follower.leader, kNobody);
  follower.acknowledgement_due = false;
  follower.acknowledged = PromisedIndex(follower);
  Send(follower.leader, term(), AppendAccepted{.match_index = follower.acknowledged});
}

}  // namespace raftkv::raft
