// RaftCore decides what a replica must do; it never does it. Every input updates the state in
// memory and adds to a pending Output, which the caller takes, carries out in field order, and
// reports back on.
//
// It is not a server: it has no threads, clocks, files, sockets or protobuf; randomness comes with
// the constructor. Confined to one thread. Deterministic: equal construction and equal inputs give
// equal outputs.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/rng.h"
#include "raft/core/config.h"
#include "raft/core/configuration.h"
#include "raft/core/invariants.h"
#include "raft/core/message.h"
#include "raft/core/message_gate.h"
#include "raft/core/output.h"
#include "raft/core/progress.h"
#include "raft/core/raft_log.h"
#include "raft/core/restored_state.h"
#include "raft/core/roles.h"
#include "raft/core/snapshot.h"
#include "raft/core/types.h"

namespace raftkv::raft {

class RaftCore {
 public:
  // A node that is no member, not yet or not any more, follows and never campaigns.
  // REQUIRES: config.Validate().ok(), `restored` is well formed and somebody votes.
  RaftCore(const RaftConfig& config, RestoredState restored, Rng rng);
  ~RaftCore();
  RaftCore(const RaftCore&) = delete;
  RaftCore& operator=(const RaftCore&) = delete;

  // Advances logical time by one tick: elections, heartbeats, CheckQuorum, and a leader's
  // resignation when its own log write takes longer than an election timeout.
  void Tick();
  // Takes any message of a peer, in any order, any number of times. InvalidArgument with what is
  // wrong when no correct peer can have sent it, for all that this node knows: it breaks the
  // protocol or contradicts what is settled (who leads the term, what is committed or agreed with
  // this leader). Nothing changes then, and the peer is to be refused. Requests are judged without
  // asking who is a member (thesis §4.1, ADR 14); replies of strangers are dropped.
  [[nodiscard]] absl::Status Take(Envelope envelope);
  // Appends one entry of commands and returns its id. Unavailable when this node does not lead,
  // or hands over, ResourceExhausted at uncommitted_bytes_max; the log is then unchanged. A stamp
  // below the last entry's is raised to it.
  absl::StatusOr<EntryId> Propose(std::string payload, ClusterMillis stamp);
  // Appends an entry that makes `to` the configuration that counts, at once (thesis §4.1), and
  // returns its id. `payload` says the same to state machines. As Propose; also FailedPrecondition
  // before this leader has committed in its term and while the last change is not committed, and
  // InvalidArgument when `to` may not follow (CheckSuccessor).
  absl::StatusOr<EntryId> ProposeConfiguration(Configuration to, std::string payload,
                                               ClusterMillis stamp);
  // Hands leadership over (thesis §3.10) to `target`, or with kNobody to the voter that is heard
  // and whose log is longest, or one of a higher priority that keeps up: nothing is appended
  // meanwhile, and as soon as the target's log is as long as this one it is asked to stand. Given
  // up when this node still leads an election timeout later. Returns OK when that has begun, or
  // `target` leads already, or is being handed to. Unavailable when this node does not lead;
  // InvalidArgument when `target` does not vote; FailedPrecondition when it is not heard, nobody
  // is, or another is being handed to. Nothing changes then.
  absl::Status TransferLeadership(NodeId target);
  // What is known of priorities; who is not there has kPriorityDefault. Safety rests on none of it,
  // and nodes may know different ones. A leader hands over by itself to a voter with a higher
  // priority than its own that has kept up for some election timeouts, and not soon again to one
  // that did not come to lead. A node whose config says 0, where others have more, leaves them some
  // election timeouts before it campaigns.
  void SetPriorities(std::map<NodeId, uint64_t> priorities) { priorities_ = std::move(priorities); }
  const std::map<NodeId, uint64_t>& priorities() const { return priorities_; }
  // What cluster time is by now; stamps the no-op of a term that begins. Unless told, the no-op has
  // the last entry's stamp.
  void SetClusterTime(ClusterMillis now) { cluster_time_ = now; }
  // Asks for the read index of a linearizable read (thesis §6.4); answered through Output::reads,
  // also when this node does not lead. `asker` is this node, or a member that was in this node's
  // term when it asked. REQUIRES: `id` is new.
  void RequestRead(ReadId id, NodeId asker);
  // Tells followers of a commit index that no message has brought them yet.
  void SendCommitIndex();

  // Every LogWrite up to `last` is durable. REQUIRES: ids never go back and were handed out.
  void OnPersisted(WriteId last);
  // REQUIRES: `last` was handed out in Output::committed; never goes back.
  void OnApplied(LogIndex last);
  // The answer to the open LoadEntries for `peer`: at least one entry from its `first` on, and
  // `previous`, the entry before. Out of date by now (another term, a lost stream), it is dropped.
  void OnEntriesLoaded(NodeId peer, EntryId previous, std::vector<Entry> entries);
  // The other answer: the log does not reach back to its `first` any more. Nothing is appended to
  // the peer until a snapshot (Output::snapshots) brings it further.
  void OnEntriesTrimmed(NodeId peer);
  // Nothing brings `peer` a snapshot any more; whether it took it says its AppendAccepted, or the
  // next probe.
  void OnSnapshotEnded(NodeId peer);
  // What a snapshot of the leader of `term` would be here. Changes nothing.
  enum class SnapshotUse {
    kNone,         // This node has committed as far, or more; or `term` is another, or its own.
    kKeepsLog,     // Its last entry is in the log: what follows stays.
    kReplacesLog,  // The log ends before it, or contradicts it.
  };
  SnapshotUse UseOf(const SnapshotPoint& point, Term term) const;
  // Begins to install a snapshot, and says how. Unless it is kNone, until OnInstalled appends and
  // commit indexes that come in are as lost, nothing is handed out for applying, and this node does
  // not campaign. REQUIRES: none is being installed, and all output was taken.
  SnapshotUse BeginInstall(const SnapshotPoint& point, Term term);
  // The snapshot is this node's state, durably, and so is the log that goes with it.
  // REQUIRES: BeginInstall said that it is of use.
  void OnInstalled(const SnapshotMeta& snapshot);
  bool is_installing() const { return installing_.has_value(); }
  // A part of a large message arrived that `leader` sent in `term`; the rest may take long. Whoever
  // follows that leader hears that it is there.
  void OnPartHeard(NodeId leader, Term term);
  // A part of what is under way to `peer` arrived: it is there, and the rest is not lost.
  void OnPartTaken(NodeId peer);
  // Messages sent to `peer` may be lost: its progress goes back to probing.
  void OnStreamLost(NodeId peer);
  // The connection to `peer` broke, and it takes no new one: its process is gone, or seems to be.
  // Who follows it does not wait for the rest of its election timeout, nor keep others waiting, and
  // asks for pre-votes soon. Safety rests on none of it; a leader that is heard after all is
  // followed on.
  void OnPeerUnreachable(NodeId peer);
  // What this node has is not to be trusted: from now on it neither campaigns nor leads, and a
  // leader steps down at once.
  void Retire();

  bool HasOutput() const;
  // Moves the pending work out; HasOutput() is false afterwards.
  Output TakeOutput();

  // State, for status, tests and invariants.
  NodeId self() const;
  RaftRole role() const;
  Term term() const;
  NodeId vote() const;
  NodeId leader() const;  // kNobody when unknown.
  EntryId last_entry() const;
  ClusterMillis last_stamp() const;  // Of the last entry.
  LogIndex commit_index() const;
  LogIndex applied_index() const;
  LogIndex durable_index() const;
  // Bytes of the entries in memory.
  uint64_t log_memory_bytes() const { return log_.memory_bytes(); }
  // A leader's number of own-term entries that are not committed; 0 elsewhere.
  uint64_t uncommitted_entries() const;
  // Whether this leader has committed an entry of its own term; false elsewhere.
  bool has_committed_in_term() const;
  // To whom this leader hands over; kNobody: it does not, or does not lead.
  NodeId handing_over_to() const;
  // Every member of the configuration holds the log up to here durably, for all that this leader
  // knows, or that this follower's leader told; 0: nothing is known.
  LogIndex held_by_all() const;
  // The newest in the log, committed or not.
  const Configuration& configuration() const { return *configuration_; }
  // The payload of its entry; null when state machines hold it already: as of the start, or of a
  // snapshot. Another pointer whenever it is another entry's.
  const std::shared_ptr<const std::string>& configuration_payload() const {
    return log_.configurations().active_payload();
  }
  // Of that entry; 0 when it was applied before the start.
  LogIndex configuration_index() const { return log_.configurations().active_index(); }
  // Whether its entry is committed, as far as this node knows.
  bool is_configuration_committed() const {
    return log_.configurations().active_index() <= log_.commit_index();
  }
  // What a leader knows of `peer`; null when this node does not lead or `peer` is no other member.
  // Valid until the next input.
  const FollowerProgress* progress(NodeId peer) const;
  // Whether this leader has heard `peer` within an election timeout; false elsewhere.
  bool HasContact(NodeId peer) const;
  CoreView View() const;

 private:
  struct PendingWrite {
    WriteId id;
    uint64_t begun_at_tick;
  };
  // What a leader does next for a follower.
  enum class ReplicationStep { kNothing, kSend, kLoad };
  class InvariantScope;
  // What an input made possible was done with it: nothing here is done by the next one.
  void CheckNothingIsOverdue() const;

  // What peers say (message_check.cc).
  absl::Status CheckMessage(const Envelope& envelope) const;
  absl::Status CheckEnvelope(const Envelope& envelope) const;
  absl::Status CheckAgainstLog(const Envelope& envelope) const;
  absl::Status CheckClaimToLead(const Envelope& envelope) const;
  absl::Status CheckAgainstAgreed(const Envelope& envelope, const AppendRequest& request) const;
  absl::Status ContradictsAgreed(EntryId id) const;
  absl::Status CheckFirstNewStamp(const AppendRequest& request) const;

  // Inputs of peers (raft_core.cc): the rules of terms, then one handler per message.
  class Dispatch;
  // Returns false when the message is done with.
  bool AdoptTerm(const Envelope& envelope);
  void AnswerOldTerm(const Envelope& envelope);

  // Hard state and writes (raft_core.cc).
  void SetHardState(HardState hard_state);
  bool hard_state_durable() const { return gate_.is_open(); }
  // The oldest log write has been under way for an election timeout.
  bool DiskIsStalled() const;
  void BeginWrite();
  bool MayHandOut() const { return log_.has_deliverable() && !is_installing(); }

  // Messages (raft_core.cc). Send goes through the gate.
  void Send(NodeId to, Term term, Message message);
  void Reply(const Envelope& to, Message message) { Send(to.from, term(), std::move(message)); }
  void EmitEvent(Event::Kind kind, EventCause cause, LogIndex index = LogIndex(0));

  // Elections (election.cc).
  TickTimer NewElectionTimer();
  TickTimer NewRetryTimer();
  // Of a follower whose leader is unreachable.
  TickTimer NewTurnTimer(NodeId leader) const;
  // As published, but this node's own as it was told.
  uint64_t PriorityOf(NodeId node) const;
  uint64_t PublishedPriorityOf(NodeId node) const;
  // What this node leaves to voters other than `gone`, if they are rather to lead.
  uint64_t ReluctantTicks(NodeId gone) const;
  bool IsOnlyVoter() const;
  bool MayCampaign() const {
    return log_.configurations().MayVote(self_) && !DiskIsStalled() && !is_installing() &&
           !retired_;
  }
  void TickFollower(Follower& follower);
  void TickCandidacy(TickTimer& retry);
  void BecomeFollower(Term term, NodeId leader, EventCause cause);
  void BecomePreCandidate(EventCause cause);
  void BecomeCandidate(EventCause cause, bool transfer = false);
  void RequestVotes(Term term, const VoteRequest& request);
  void CountOwnVote();
  void MaybeWinPreVote();
  void MaybeWinVote();
  // Thesis §4.2.3: who has a leader keeps it, whatever others say.
  bool HasLiveLeaderOtherThan(NodeId candidate) const;
  // Thesis §3.6.1.
  bool IsUpToDate(EntryId last_entry) const;
  void HandlePreVoteRequest(const Envelope& envelope, const VoteRequest& request);
  void HandleVoteRequest(const Envelope& envelope, const VoteRequest& request);
  void HandleVoteReply(const Envelope& envelope, const VoteReply& reply);

  // Followers (follower.cc).
  // This node as a follower of `envelope`'s sender, which leads the current term.
  Follower& FollowSender(const Envelope& envelope);
  // Its leader lives.
  void HearLeader(Follower* follower);
  void HandleAppendRequest(const Envelope& envelope, AppendRequest request);
  void HandleHeartbeat(const Envelope& envelope, const Heartbeat& heartbeat);
  bool HoldsEntry(EntryId id) const;
  void RejectAppend(const Envelope& envelope, EntryId previous);
  LogIndex PromisedIndex(const Follower& follower) const;
  void MaybeAcknowledge(Follower& follower);
  void SendAcknowledgement(Follower& follower);

  // Snapshots (snapshot.cc).
  struct Installing {
    SnapshotPoint point;
    SnapshotUse use;
  };

  // Leaders (leader.cc).
  Leader* leader_role() { return std::get_if<Leader>(&role_); }
  const Leader* leader_role() const { return std::get_if<Leader>(&role_); }
  void BecomeLeader(EventCause cause);
  void TickLeader(Leader& leader);
  bool HasQuorumContact() const;
  // The open load of `peer` is answered. Null when the answer is out of date.
  FollowerProgress* CloseLoad(NodeId peer);
  // Whether this node leads, and may take an entry with so large a payload.
  absl::Status CheckRoom(uint64_t payload_bytes) const;
  EntryId AppendOwnEntry(EntryKind kind, std::string payload, ClusterMillis stamp,
                         std::shared_ptr<const Configuration> configuration = nullptr);
  FollowerProgress* NoteContact(NodeId peer);
  void HandleAppendAccepted(const Envelope& envelope, const AppendAccepted& reply);
  void HandleAppendRejected(const Envelope& envelope, const AppendRejected& reply);
  void HandleHeartbeatReply(const Envelope& envelope, const HeartbeatReply& reply);
  // What a quorum holds durably, for all that this leader knows.
  LogIndex QuorumIndex(const Leader& leader) const;
  void MaybeCommit(Leader& leader);
  ReplicationStep NextStep(NodeId peer, const FollowerProgress& progress) const;
  bool LeaderHasOutput(const Leader& leader) const;
  void SendLeaderOutput(Leader& leader);
  void Replicate(NodeId peer, FollowerProgress& progress);
  void SendAppend(NodeId peer, FollowerProgress& progress, EntryId previous,
                  std::vector<Entry> entries);
  void SendUntoldCommitIndex(Leader& leader);

  // Handing over (transfer.cc).
  NodeId BestTarget(const Leader& leader) const;
  // Of the voters that have kept up for so long and are not passed over, the one with the highest
  // priority, if that is more than `priority`.
  NodeId PreferredTarget(const Leader& leader, uint64_t priority, uint64_t kept_up_ticks) const;
  void PassOver(NodeId target);
  void BeginHandover(Leader& leader, EventCause cause);
  void MaybeHandOverByPriority(Leader& leader);
  void TickHandover(Leader& leader);
  void EndHandover(Leader& leader, EventCause cause);
  bool MayAskToStand(const Leader& leader) const;
  void HandleTimeoutNow(const Envelope& envelope);

  // Members (membership.cc).
  // Goes by the newest configuration in the log, which may have changed.
  void MaybeSwitchConfiguration();
  // Makes `followers` the other members; whoever is new is probed from the end of the log on.
  void UpdateFollowers(Leader& leader);

  // Heartbeats and reads of leaders (read_index.cc).
  bool MayBeginRound(const Leader& leader) const;
  void BeginRound(Leader& leader, bool with_learners);
  RoundId QuorumRound(const Leader& leader) const;
  void MaybeConfirmReads(Leader& leader);

  // Constant after construction.
  const RaftConfig config_;
  const NodeId self_;

  Rng rng_;
  HardState hard_state_;
  RaftLog log_;
  // Invariant between inputs: log_.configurations().active().
  std::shared_ptr<const Configuration> configuration_;
  ClusterMillis cluster_time_;
  std::map<NodeId, uint64_t> priorities_;
  // Who was to take leadership over and has not led since, as far as this node knows, is not asked
  // again for its priority before this tick, whoever leads meanwhile.
  std::map<NodeId, uint64_t> passed_over_until_;
  // Who leads the term, once known, also when given up. Invariant: set once per term.
  NodeId leader_of_term_ = kNobody;
  Role role_;
  uint64_t now_ticks_ = 0;

  WriteId next_write_{1};
  std::deque<PendingWrite> pending_writes_;
  MessageGate gate_;
  // A load that the caller has not answered. An answer from another term may hold entries that are
  // gone, and one from another place is of no use any more.
  struct OpenLoad {
    Term asked_in;
    LogIndex first;
  };
  std::map<NodeId, OpenLoad> open_loads_;
  // What is being installed. Invariant: then this node follows, and its log does not change.
  std::optional<Installing> installing_;
  bool retired_ = false;  // Invariant: then this node follows.
  Output output_;
};

// Checks the invariants when an input has been dealt with.
class RaftCore::InvariantScope {
 public:
  explicit InvariantScope(const RaftCore* core) : core_(*core), before_(core->View()) {}
  ~InvariantScope() {
    const CoreView after = core_.View();
    CheckState(after);
    CheckStep(before_, after);
    core_.CheckNothingIsOverdue();
  }
  InvariantScope(const InvariantScope&) = delete;
  InvariantScope& operator=(const InvariantScope&) = delete;

 private:
  const RaftCore& core_;
  const CoreView before_;
};

}  // namespace raftkv::raft
