// RaftDriver runs one member: it feeds the core, carries its output out in order, applies what is
// committed, and brings clients' proposals and reads to the leader, wherever that is, and their
// outcomes back.
//
// It knows neither threads nor gRPC: whoever owns it calls the inputs as events come in and then
// RunTurn. Confined to one thread. Every callback runs inside a call of the driver, at most once,
// and may call the driver's inputs.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "raft/core/raft_core.h"
#include "raft/runtime/apply_queue.h"
#include "raft/runtime/cluster_clock.h"
#include "raft/runtime/disk_reports.h"
#include "raft/runtime/driver_observer.h"
#include "raft/runtime/driver_options.h"
#include "raft/runtime/forwarded_requests.h"
#include "raft/runtime/leader_watch.h"
#include "raft/runtime/log_store.h"
#include "raft/runtime/pending_proposals.h"
#include "raft/runtime/pending_reads.h"
#include "raft/runtime/pending_transfers.h"
#include "raft/runtime/raft_status.h"
#include "raft/runtime/requests.h"
#include "raft/runtime/snapshot_transfers.h"
#include "raft/runtime/state_audit.h"
#include "raft/runtime/state_machine.h"
#include "raft/runtime/transport.h"

namespace raftkv::raft {

class RaftDriver final : public OutcomeObserver {
 public:
  using InstallCallback = std::function<void(const absl::Status&)>;

  // `origin` is random, unique to this process. Borrows everything it is given.
  RaftDriver(const DriverOptions& options, uint64_t origin, std::unique_ptr<RaftCore> core,
             const ClusterReading& restored_clock, Transport* transport, LogStore* log_store,
             StateMachine* state_machine, const MonotonicClock* clock, DriverObserver* observer);

  // Inputs. They take effect in the next RunTurn at the latest.

  // A tick of the core's logical time, and a look at deadlines.
  void Tick();
  // As RaftCore's.
  void Retire();
  // While dormant the core's time stands still, so that a member of a cluster that is not founded
  // yet never campaigns. Requests still get their answers in time.
  void SetDormant(bool dormant) { dormant_ = dormant; }
  // Whether this member's disk is nearly full. Its leader hears of it with the next heartbeat's
  // reply, and all others from the leader; meanwhile this member trims its log harder.
  void SetLowOnDisk(bool low) { disk_reports_.SetOwn(low); }
  // As RaftCore's: InvalidArgument, and nothing changes, when no correct peer can have sent it.
  [[nodiscard]] absl::Status Take(Envelope envelope);
  // What the leader of `term` stamped on its frame, after the frame's messages were taken.
  // Ignored unless this member's log ends in an entry of that leader.
  void ObserveClusterTime(Term term, ClusterMillis stamp);
  // As RaftCore's.
  void OnPartHeard(NodeId leader, Term term);
  void OnPartTaken(NodeId peer);
  // The append stream to or from `peer` broke.
  void OnStreamLost(NodeId peer);
  // As RaftCore's.
  void OnPeerUnreachable(NodeId peer);

  // The snapshot that the transport brought to `peer` was taken and installed, or `peer` had as
  // much (OK), or not.
  void OnSnapshotSent(NodeId peer, const absl::Status& status);
  // A member that leads `term` offers a snapshot. OK: it is of use and may be staged now.
  // AlreadyExists: this member has committed as far. FailedPrecondition: it is in another term, or
  // somebody else leads this one. ResourceExhausted: one is being installed. InvalidArgument: no
  // snapshot stands there. Unavailable: this member is stopping.
  absl::Status CheckSnapshot(NodeId leader, Term term, const SnapshotPoint& point) const;
  // Makes a snapshot that was staged this member's state; `done` hears when that is durable and
  // adopted, or, as CheckSnapshot, why it is dropped.
  void InstallSnapshot(Term term, std::shared_ptr<StagedSnapshot> snapshot, InstallCallback done);

  // Brings a command into the log, on this member or through the leader. It is answered by
  // `deadline` (plus one tick) at the latest.
  void Propose(std::string command, MonotonicNanos deadline, ProposalCallback done);
  // Answers once a linearizable read may be served from the applied state, by `deadline` (plus one
  // tick) at the latest.
  void Read(MonotonicNanos deadline, ReadCallback done);

  // As RaftCore's; also Unavailable when this member is stopping.
  absl::StatusOr<EntryId> ProposeConfiguration(Configuration to, std::string payload);
  // This member, which was none yet, is one: `core` is what it goes on with. REQUIRES: it was
  // dormant from its start, and applied nothing.
  void Join(std::unique_ptr<RaftCore> core);

  // Hands leadership over, as RaftCore's; `done` hears how that ended (PendingTransfers).
  void TransferLeadership(NodeId target, TransferCallback done);
  // As RaftCore's.
  void SetPriorities(std::map<NodeId, uint64_t> priorities) {
    core_->SetPriorities(std::move(priorities));
  }
  bool is_handing_over() const { return !transfers_waiting_.empty(); }

  // A follower's request to this member as the leader, and the answer to one of ours.
  void OnForwardRequest(NodeId origin, ForwardRequest request);
  void OnForwardReply(NodeId from, ForwardReply reply);
  // The stream on which this member forwarded to `peer` broke: what was sent may or may not have
  // arrived.
  void OnForwardLost(NodeId peer);

  // One turn: takes what the log store finished, forms the next entry, carries out the core's
  // output, applies and answers, then sends what only moves the commit index. Returns whether
  // another turn would have work at once.
  bool RunTurn();

  // Answers everything that waits (kShuttingDown where certain, else kOutcomeUnknown) and refuses
  // what comes later.
  void Shutdown();

  // CHECKs what holds after a turn: what was due was done. Looks at all that waits, so it is for
  // tests and the simulator.
  void CheckInvariants() const;

  const RaftCore& core() const { return *core_; }
  RaftStatus Status() const;
  // As in Status().
  std::vector<NodeId> LowOnDisk() const { return disk_reports_.Low(*core_); }
  ClusterMillis Now() const { return cluster_clock_.Now(); }
  ClusterReading ReadClusterClock() const { return cluster_clock_.Read(); }
  // Requests that wait for an answer.
  uint64_t pending_requests() const;
  // Proposals that the leader has from here, or will have, for all that is known.
  uint64_t forwarded_proposals() const {
    return watch_.leader() == kNobody ? 0 : proposals_.under_way();
  }

  // OutcomeObserver; for the state machine only.
  bool Wants(uint64_t origin, uint64_t sequence) const override;
  void OnOutcome(uint64_t origin, uint64_t sequence, std::string outcome) override;

 private:
  void TellCoreTheTime();
  void TakeFinishedLogWork();
  // Notes another leader, or another term, and takes back what the last one had of this member.
  void LookWhoLeads(MonotonicNanos now);
  // Brings what waits to whoever leads.
  void HandOutRequests();
  // Whether the log may take another entry now, as far as those count that are not committed.
  bool MayProposeNextEntry() const;
  void ProposeNextEntry(MonotonicNanos now);
  void ForwardToLeader(MonotonicNanos now);
  // Whether the leader may be burdened with the front proposal. REQUIRES: one waits.
  bool MayForwardFront() const;
  void CarryOutOutput();
  void RequestRead(ReadId id, NodeId asker);
  void OnReadOutcome(const ReadOutcome& outcome);
  bool MayApply() const {
    return !apply_queue_.empty() && !apply_stalled_ && !core_->is_installing();
  }
  void ApplyCommitted();
  void SendForwardReplies();
  void DeliverAnswers();
  // Snapshots of this leader.
  void BeginSnapshots();
  void StopSnapshots();
  void MaybeTrimLog();
  // Disks.
  void AddDiskNews(const std::vector<NodeId>& low, Message* message) const;
  void WatchDisks();
  // Snapshots of another: offered, being written, written.
  absl::Status CheckSnapshotUse(Term term, const SnapshotPoint& point) const;
  bool MayBeginInstall() const { return install_.has_value() && !core_->is_installing(); }
  void BeginInstall();
  void FinishInstall();
  void RefuseInstall(const absl::Status& status);
  void EndInstall(const absl::Status& status);
  // Audits (state_audit.h).
  void TickAudit();
  // What members tell each other with heartbeats about their states: read once the core took the
  // message, and put in as it leaves.
  void TakeAuditNews(const Envelope& envelope);
  void TakeOrders(const Envelope& envelope, const ClusterNews& news);
  void AddAuditNews(Envelope* envelope);
  void TellVerdicts();
  void StopDiffering(const StateDifference& difference);
  // Whether a further pass over the steps of a turn would find something to do.
  bool HasWork() const;
  ReadId NextReadId();

  // Constant after construction.
  const DriverOptions options_;
  const uint64_t origin_;
  Transport* const transport_;
  LogStore* const log_store_;
  StateMachine* const state_machine_;
  const MonotonicClock* const clock_;
  DriverObserver* const observer_;

  std::unique_ptr<RaftCore> core_;
  ClusterClock cluster_clock_;
  LeaderWatch watch_;

  // Requests. The budget comes first: the two below draw on it.
  ProposalBudget budget_;
  PendingProposals proposals_;
  ForwardedRequests forwarded_;
  PendingReads reads_;
  ReadId next_read_id_;
  // Own and forwarded proposals take turns, so that neither starves the other; this says whose turn
  // it is.
  bool own_turn_ = true;
  // Loads that the log store has not answered.
  uint64_t loads_under_way_ = 0;
  // The core refused an entry for want of room; the next is not tried before something was applied
  // or time has passed.
  bool log_full_ = false;

  PendingTransfers transfers_waiting_;

  // Applying.
  ApplyQueue apply_queue_;
  // The state machine took less than it was offered; it is not asked again in the same turn.
  bool apply_stalled_ = false;
  // Invariant: the term of the last applied entry.
  Term applied_term_;

  // Snapshots, and the log before them.
  struct Install {
    Term term;
    std::shared_ptr<StagedSnapshot> snapshot;
    InstallCallback done;
    bool is_written = false;  // The log store has made it this member's state.
  };
  SnapshotTransfers transfers_;
  // Being written since core_->is_installing().
  std::optional<Install> install_;
  MonotonicNanos next_trim_ = 0;

  // Audits: of this leader, and what this follower was asked and answered last.
  struct Asked {
    Term term;
    NodeId leader;
    LogIndex index;
  };
  struct Answered {
    LogIndex index;
    uint64_t state_hash = 0;
  };
  StateAudit audit_;
  LogIndex told_disagreement_;
  Asked asked_;
  Answered answered_;
  bool differs_ = false;

  DiskReports disk_reports_;
  std::vector<NodeId> told_low_on_disk_;

  bool dormant_ = false;
  bool in_turn_ = false;
  bool shut_down_ = false;
};

}  // namespace raftkv::raft
