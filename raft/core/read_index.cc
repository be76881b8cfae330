// Heartbeat rounds and the linearizable reads that they confirm: thesis §6.4.
//
// Rounds have growing numbers. A reply to round r proves that its sender still followed this leader
// after r began; so a read that came before r began is confirmed by a quorum of replies to r or to
// any later round, and by no earlier one. That also makes every heartbeat a retry, with a number of
// its own, for the reads whose round got lost.
#include <glog/logging.h>

#include <utility>

#include "base/mutant.h"
#include "raft/core/quorum.h"
#include "raft/core/raft_core.h"

namespace raftkv::raft {
namespace {

ReadOutcome Aborted(ReadId id) { return {.id = id, .aborted = true, .read_index = LogIndex(0)}; }

}  // namespace

// A member that asks in this term has helped nobody to a later one by then, which is all that its
// reply to a round would say. A leader that makes a quorum with the asker needs no round (ADR 6).
void RaftCore::RequestRead(ReadId id, NodeId asker) {
  const InvariantScope scope(this);
  Leader* leader = leader_role();
  if (leader == nullptr) {
    output_.reads.push_back(Aborted(id));
    return;
  }
  const bool asker_confirms =
      IsQuorum(configuration_, [&](NodeId voter) { return voter == self_ || voter == asker; });
  if (has_committed_in_term() && (asker_confirms || RAFTKV_MUTANT(kReadsOnALease))) {
    output_.reads.push_back({.id = id, .aborted = false, .read_index = log_.commit_index()});
    return;
  }
  leader->waiting_reads.push_back(id);
}

// One round at a time confirms reads; it serves all that came before it. Before the leader has
// committed in its own term it does not know what is committed.
bool RaftCore::MayBeginRound(const Leader& leader) const {
  return !leader.waiting_reads.empty() && leader.confirming.empty() && has_committed_in_term();
}

void RaftCore::BeginRound(Leader& leader, bool with_learners) {
  leader.last_round = RAFTKV_MUTANT(kRoundIdReused) ? RoundId(1) : leader.last_round.Next();
  if (!leader.waiting_reads.empty() && has_committed_in_term()) {
    leader.confirming.push_back({.round = leader.last_round,
                                 .read_index = log_.commit_index(),
                                 .reads = std::exchange(leader.waiting_reads, {})});
  }
  for (auto& [peer, progress] : leader.followers) {
    if (!with_learners && !configuration_.IsVoter(peer)) {
      continue;
    }
    const LogIndex safe = progress.SafeCommitIndex(log_.commit_index());
    progress.OnCommitIndexSent(safe);
    Send(peer, term(), Heartbeat{.commit_index = safe, .round = leader.last_round});
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

void RaftCore::MaybeConfirmReads(Leader& leader) {
  if (leader.confirming.empty()) {
    return;
  }
  const RoundId confirmed = ConfirmedRound(configuration_, [&](NodeId voter) {
    return voter == self_ ? leader.last_round : leader.followers.at(voter).answered_round();
  });
  CHECK_LE(confirmed, leader.last_round);
  while (!leader.confirming.empty() && leader.confirming.front().round <= confirmed) {
    const ReadBatch& batch = leader.confirming.front();
    for (ReadId id : batch.reads) {
      output_.reads.push_back({.id = id, .aborted = false, .read_index = batch.read_index});
    }
    leader.confirming.pop_front();
  }
}

// Whoever leads next may already have committed more: no read may be answered on this term's word
// (reads are handed over to nobody).
void RaftCore::AbortReads(Leader& leader) {
  for (const ReadBatch& batch : leader.confirming) {
    for (ReadId id : batch.reads) {
      output_.reads.push_back(RAFTKV_MUTANT(kReadsOutliveLeadership)
                                  ? ReadOutcome{.id = id, .read_index = batch.read_index}
                                  : Aborted(id));
    }
  }
  for (ReadId id : leader.waiting_reads) {
    output_.reads.push_back(Aborted(id));
  }
  leader.confirming.clear();
  leader.waiting_reads.clear();
}

}  // namespace raftkv::raft
