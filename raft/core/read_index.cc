// Heartbeats of leaders, and the reads that they confirm (read_rounds.h).
#include "raft/core/quorum.h"
#include "raft/core/raft_core.h"

namespace raftkv::raft {

// A member that asks in this term has helped nobody to a later one by then, which is all that its
// reply to a round would say. A leader that makes a quorum with the asker needs no round (ADR 6).
void RaftCore::RequestRead(ReadId id, NodeId asker) {
  const InvariantScope scope(this);
  Leader* leader = leader_role();
  if (leader == nullptr) {
    output_.reads.push_back({.id = id, .aborted = true, .read_index = LogIndex(0)});
    return;
  }
  const bool asker_confirms =
      IsQuorum(configuration(), [&](NodeId voter) { return voter == self_ || voter == asker; });
  if (has_committed_in_term() && asker_confirms) {
    output_.reads.push_back({.id = id, .aborted = false, .read_index = log_.commit_index()});
    return;
  }
  leader->rounds.Add(id);
}

// Before the leader has committed in its own term it does not know what is committed.
bool RaftCore::MayBeginRound(const Leader& leader) const {
  return leader.rounds.WantsRound() && has_committed_in_term();
}

void RaftCore::BeginRound(Leader& leader, bool with_learners) {
  const RoundId round = leader.rounds.Begin(has_committed_in_term(), log_.commit_index());
  for (auto& [peer, progress] : leader.followers) {
    if (!with_learners && !configuration().IsVoter(peer)) {
      continue;
    }
    const LogIndex safe = progress.SafeCommitIndex(log_.commit_index());
    progress.OnCommitIndexSent(safe);
    Send(peer, term(),
         Heartbeat{.commit_index = safe, .round = round, .held_by_all = held_by_all()});
  }
  MaybeConfirmReads(leader);
}

void RaftCore::HandleHeartbeatReply(const Envelope& envelope, const HeartbeatReply& reply) {
  FollowerProgress* progress = NoteContact(envelope.from);
  if (progress == nullptr) {
    return;
  }
  progress->OnHeartbeatReply(reply.round);
  MaybeConfirmReads(std::get<Leader>(role_));
}

// The last round that a quorum has answered.
RoundId RaftCore::QuorumRound(const Leader& leader) const {
  return ConfirmedRound(configuration(), [&](NodeId voter) {
    if (voter == self_) {
      return leader.rounds.last_round();
    }
    const FollowerProgress* progress = leader.Find(voter);
    return progress == nullptr ? RoundId(0) : progress->answered_round();
  });
}

void RaftCore::MaybeConfirmReads(Leader& leader) {
  if (leader.rounds.confirms()) {
    leader.rounds.Confirm(QuorumRound(leader), &output_.reads);
  }
}

}  // namespace raftkv::raft
