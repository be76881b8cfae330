#include "raft/runtime/raft_driver.h"

#include <glog/logging.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <variant>

#include "base/status_macros.h"
#include "raft/runtime/command_batch.h"

namespace raftkv::raft {
namespace {

// How often one turn goes over its steps while they make work for each other; then the events that
// have come in meanwhile get their turn.
constexpr int kPassesPerTurnMax = 4;

// Where a process starts to number its proposals and reads. A new process of a member may get
// answers that were meant for the one before it; starting in different places, they find nobody. 48
// bits keep the numbers short in the log.
uint64_t FirstNumber(uint64_t origin) { return 1 + origin % (uint64_t{1} << 48); }

}  // namespace

RaftDriver::RaftDriver(const DriverOptions& options, uint64_t origin,
                       std::unique_ptr<RaftCore> core, const ClusterReading& restored_clock,
                       Transport* transport, LogStore* log_store, StateMachine* state_machine,
                       const MonotonicClock* clock, DriverObserver* observer)
    : options_(options),
      origin_(origin),
      transport_(transport),
      log_store_(log_store),
      state_machine_(state_machine),
      clock_(clock),
      observer_(observer),
      core_(std::move(core)),
      cluster_clock_(restored_clock, clock),
      watch_(clock->Now()),
      budget_(options.proposals_max, options.proposal_bytes_max),
      proposals_(&budget_, options.leader_wait, FirstNumber(origin)),
      forwarded_(&budget_, options.reads_max),
      reads_(options.reads_max, options.leader_wait, options.read_retry_after),
      next_read_id_(FirstNumber(origin)),
      applied_term_(state_machine->applied().term),
      transfers_(options.snapshots_max, options.snapshot_retry_after) {
  CHECK(options_.Validate().ok()) << options_.Validate();
  CHECK_EQ(core_->applied_index(), state_machine_->applied().index);
}

RaftStatus RaftDriver::Status() const {
  return {.self = core_->self(),
          .role = core_->role(),
          .term = core_->term(),
          .leader = core_->leader(),
          .last_entry = core_->last_entry(),
          .commit_index = core_->commit_index(),
          .applied = state_machine_->applied(),
          .log_memory_bytes = core_->log_memory_bytes(),
          .pending_proposals = proposals_.size(),
          .pending_reads = reads_.size(),
          .low_on_disk = LowOnDisk(),
          .disagreement = audit_.disagreement()};
}

void RaftDriver::Tick() {
  if (differs_) {
    return;
  }
  TellCoreTheTime();
  if (!dormant_) {
    core_->Tick();
  }
  log_full_ = false;
  const MonotonicNanos now = clock_->Now();
  LookWhoLeads(now);
  watch_.OnTick();
  reads_.ReturnOverdue(now);
  proposals_.Expire(now, watch_);
  reads_.Expire(now, watch_);
  DeliverAnswers();
  WatchDisks();
  MaybeTrimLog();
  TickAudit();
  transfers_waiting_.MaybeFinish(*core_, now);
}

void RaftDriver::Retire() {
  core_->Retire();
  LookWhoLeads(clock_->Now());
}

absl::Status RaftDriver::Take(Envelope envelope) {
  if (differs_) {
    return absl::OkStatus();
  }
  TellCoreTheTime();
  // The core takes the message away.
  std::optional<Envelope> with_news;
  if (std::holds_alternative<Heartbeat>(envelope.message) ||
      std::holds_alternative<HeartbeatReply>(envelope.message)) {
    with_news = envelope;
  }
  RAFTKV_RETURN_IF_ERROR(core_->Take(std::move(envelope)));
  // A leader's own count goes on at the end of its own log (CarryOutOutput).
  if (core_->role() != RaftRole::kLeader) {
    cluster_clock_.FollowLog({.term = core_->last_entry().term, .time = core_->last_stamp()});
  }
  if (with_news.has_value()) {
    disk_reports_.Note(*core_, *with_news);
    TakeAuditNews(*with_news);
  }
  return absl::OkStatus();
}

// Whatever comes next may make this member the leader.
void RaftDriver::TellCoreTheTime() { core_->SetClusterTime(cluster_clock_.Now()); }

void RaftDriver::ObserveClusterTime(Term term, ClusterMillis stamp) {
  // While this member leads, its own clock is the cluster's.
  if (core_->role() != RaftRole::kLeader) {
    cluster_clock_.Observe(term, stamp);
  }
}

void RaftDriver::OnPartHeard(NodeId leader, Term term) { core_->OnPartHeard(leader, term); }

void RaftDriver::OnPartTaken(NodeId peer) { core_->OnPartTaken(peer); }

void RaftDriver::OnStreamLost(NodeId peer) { core_->OnStreamLost(peer); }

void RaftDriver::OnPeerUnreachable(NodeId peer) { core_->OnPeerUnreachable(peer); }

void RaftDriver::Propose(std::string command, MonotonicNanos deadline, ProposalCallback done) {
  if (shut_down_) {
    done(ProposalResult::kShuttingDown, std::string());
    return;
  }
  proposals_.Add(std::move(command), deadline, clock_->Now(), std::move(done));
}

void RaftDriver::Read(MonotonicNanos deadline, ReadCallback done) {
  if (shut_down_) {
    done(ReadResult::kShuttingDown);
    return;
  }
  reads_.Add(deadline, clock_->Now(), std::move(done));
}

absl::StatusOr<EntryId> RaftDriver::ProposeConfiguration(Configuration to, std::string payload) {
  if (shut_down_) {
    return absl::UnavailableError("this node is stopping");
  }
  TellCoreTheTime();
  return core_->ProposeConfiguration(std::move(to), std::move(payload), cluster_clock_.Now());
}

void RaftDriver::Join(std::unique_ptr<RaftCore> core) {
  CHECK(dormant_ && core_->term() == Term(0) && state_machine_->applied().index == LogIndex(0));
  core_ = std::move(core);
  CHECK(core_->applied_index() == LogIndex(0));
  dormant_ = false;
}

void RaftDriver::TransferLeadership(NodeId target, TransferCallback done) {
  if (shut_down_) {
    done(absl::UnavailableError("this node is stopping"));
    return;
  }
  transfers_waiting_.Add(core_.get(), target, clock_->Now(), options_.leader_wait, std::move(done));
}

void RaftDriver::OnForwardRequest(NodeId origin, ForwardRequest request) {
  // Who is on its way out would not hear what becomes of it, since nothing is brought to it once it
  // is none.
  const Configuration& members = core_->configuration();
  const bool stays = members.voters.contains(origin) || members.learners.contains(origin);
  const bool leads = core_->role() == RaftRole::kLeader && request.term == core_->term();
  if (!leads || !stays || shut_down_) {
    forwarded_.Refuse(origin, request);
    return;
  }
  for (const ReadId origin_id : request.reads) {
    const ReadId id = NextReadId();
    if (forwarded_.AddRead(id, origin, origin_id)) {
      RequestRead(id, origin);
    }
  }
  forwarded_.Queue(origin, std::move(request));
}

void RaftDriver::OnForwardReply(NodeId /*from*/, ForwardReply reply) {
  const MonotonicNanos now = clock_->Now();
  // Backwards, because each goes to the front of what waits.
  for (auto refused = reply.refused_proposals.rbegin(); refused != reply.refused_proposals.rend();
       ++refused) {
    const std::optional<Term> term = proposals_.OnRefused(refused->sequence, refused->reason);
    if (term.has_value() && refused->reason == RefusalReason::kNotLeader) {
      watch_.OnRefused(*term, now);
    }
  }
  for (const ConfirmedRead& read : reply.reads) {
    reads_.OnConfirmed(read.id, read.read_index);
  }
  for (const ReadId id : reply.refused_reads) {
    if (const std::optional<Term> term = reads_.OnRefused(id); term.has_value()) {
      watch_.OnRefused(*term, now);
    }
  }
}

void RaftDriver::OnForwardLost(NodeId peer) {
  // Proposals stay bound: a copy under way may still be appended. Reads do no harm when they are
  // asked for twice.
  reads_.ReturnForwarded();
  // Nothing under way was on a stream to anybody else: a change of leader forgets what was.
  if (peer == watch_.leader()) {
    proposals_.ForgetUnderWay();
  }
}

bool RaftDriver::RunTurn() {
  CHECK(!in_turn_) << "a callback must not run a turn";
  if (differs_) {
    return false;
  }
  in_turn_ = true;
  apply_stalled_ = false;
  TellCoreTheTime();
  TakeFinishedLogWork();
  for (int pass = 0; pass < kPassesPerTurnMax; ++pass) {
    BeginInstall();
    HandOutRequests();
    CarryOutOutput();
    ApplyCommitted();
    DeliverAnswers();
    if (!HasWork()) {
      break;
    }
  }
  if (is_handing_over()) {
    transfers_waiting_.MaybeFinish(*core_, clock_->Now());
  }
  SendForwardReplies();
  core_->SendCommitIndex();
  CarryOutOutput();
  BeginSnapshots();
  in_turn_ = false;
  return HasWork() || forwarded_.has_replies();
}

void RaftDriver::Shutdown() {
  shut_down_ = true;
  proposals_.Shutdown();
  reads_.Shutdown();
  transfers_waiting_.Shutdown();
  // Term 0 is nobody's: all that is queued for this member as a leader is refused.
  forwarded_.RefuseOtherTerms(Term(0));
  SendForwardReplies();
  DeliverAnswers();
  StopSnapshots();
  RefuseInstall(absl::UnavailableError("this node is stopping"));
}

uint64_t RaftDriver::pending_requests() const { return proposals_.size() + reads_.size(); }

bool RaftDriver::Wants(uint64_t origin, uint64_t sequence) const {
  return origin == origin_ && proposals_.Contains(sequence);
}

void RaftDriver::OnOutcome(uint64_t origin, uint64_t sequence, std::string outcome) {
  if (origin == origin_) {
    proposals_.OnApplied(sequence, std::move(outcome));
  }
}

void RaftDriver::TakeFinishedLogWork() {
  // Asked before what is durable: the writes that came before a snapshot are told of with it then.
  if (const std::shared_ptr<StagedSnapshot> installed = log_store_->TakeInstalled()) {
    CHECK(install_.has_value() && install_->snapshot == installed);
    install_->is_written = true;
  }
  if (const std::optional<WriteId> durable = log_store_->TakeDurable(); durable.has_value()) {
    core_->OnPersisted(*durable);
  }
  for (LoadedEntries& loaded : log_store_->TakeLoaded()) {
    --loads_under_way_;
    if (loaded.trimmed) {
      core_->OnEntriesTrimmed(loaded.peer);
    } else {
      core_->OnEntriesLoaded(loaded.peer, loaded.previous, std::move(loaded.entries));
    }
  }
  FinishInstall();
}

void RaftDriver::LookWhoLeads(MonotonicNanos now) {
  if (!watch_.Update(*core_, now)) {
    return;
  }
  // Whoever was asked leads no more, or not in that term. A leader's own reads are aborted by the
  // core.
  reads_.ReturnForwarded();
  proposals_.ForgetUnderWay();
  StopSnapshots();
}

void RaftDriver::HandOutRequests() {
  const MonotonicNanos now = clock_->Now();
  LookWhoLeads(now);
  forwarded_.RefuseOtherTerms(watch_.leading() ? watch_.term() : Term(0));
  if (watch_.leading()) {
    ProposeNextEntry(now);
    if (reads_.has_waiting()) {
      const ReadId id = NextReadId();
      reads_.AskFor(id, watch_.term(), /*forwarded=*/false, now);
      RequestRead(id, core_->self());
    }
  } else if (watch_.CanForward()) {
    ForwardToLeader(now);
  }
}

bool RaftDriver::MayProposeNextEntry() const {
  const bool large =
      (proposals_.has_waiting() && proposals_.front_bytes() >= options_.entry_bytes_max) ||
      (forwarded_.has_proposals() && forwarded_.front().command.size() >= options_.entry_bytes_max);
  const uint64_t entries_max =
      large ? std::max(options_.uncommitted_entries_max, options_.uncommitted_large_entries_max)
            : options_.uncommitted_entries_max;
  return !log_full_ && core_->handing_over_to() == kNobody &&
         core_->uncommitted_entries() < entries_max;
}

void RaftDriver::ProposeNextEntry(MonotonicNanos now) {
  if (!MayProposeNextEntry()) {
    return;
  }
  const uint64_t first_sequence = proposals_.next_sequence();
  std::vector<ForwardedRequests::Queued> foreign;
  std::string payload;
  uint64_t commands = 0;
  for (; commands < options_.entry_commands_max; ++commands) {
    const bool has_own = proposals_.PrepareFront(now, watch_);
    if (!has_own && !forwarded_.has_proposals()) {
      break;
    }
    const bool take_own = has_own && (own_turn_ || !forwarded_.has_proposals());
    const uint64_t bytes = take_own ? proposals_.front_bytes() : forwarded_.front().command.size();
    if (!payload.empty() && payload.size() + bytes > options_.entry_bytes_max) {
      break;
    }
    if (take_own) {
      const PendingProposals::HandedOut own = proposals_.BindFront(watch_.term());
      AppendProposal(origin_, own.sequence, own.command, &payload);
    } else {
      foreign.push_back(forwarded_.TakeFront());
      const Proposal& proposal = foreign.back().proposal;
      AppendProposal(proposal.origin, proposal.sequence, proposal.command, &payload);
    }
    own_turn_ = !take_own;
  }
  if (payload.empty()) {
    return;
  }
  const uint64_t bytes = payload.size();
  // Stamped after the batch was drained: no command in it was asked for after its stamp.
  const absl::StatusOr<EntryId> appended = core_->Propose(std::move(payload), cluster_clock_.Now());
  log_full_ = !appended.ok();
  if (log_full_) {
    proposals_.ReturnFrom(first_sequence);
    for (auto queued = foreign.rbegin(); queued != foreign.rend(); ++queued) {
      forwarded_.ReturnFront(std::move(*queued));
    }
    return;
  }
  CHECK_EQ(appended->term, watch_.term());
  observer_->OnEntryProposed(commands, bytes);
  for (const ForwardedRequests::Queued& queued : foreign) {
    forwarded_.OnAppended(queued);
  }
}

void RaftDriver::ForwardToLeader(MonotonicNanos now) {
  while (true) {
    ForwardRequest request{.term = watch_.term(), .proposals = {}, .reads = {}};
    const uint64_t first_sequence = proposals_.next_sequence();
    uint64_t bytes = 0;
    while (request.proposals.size() < options_.entry_commands_max &&
           proposals_.PrepareFront(now, watch_) && MayForwardFront()) {
      if (bytes > 0 && bytes + proposals_.front_bytes() > options_.entry_bytes_max) {
        break;
      }
      bytes += proposals_.front_bytes();
      const PendingProposals::HandedOut own = proposals_.BindFront(watch_.term());
      request.proposals.push_back(
          {.origin = origin_, .sequence = own.sequence, .command = std::string(own.command)});
    }
    std::optional<ReadId> read;
    if (reads_.has_waiting()) {
      read = NextReadId();
      reads_.AskFor(*read, watch_.term(), /*forwarded=*/true, now);
      request.reads.push_back(*read);
    }
    if (request.proposals.empty() && request.reads.empty()) {
      return;
    }
    const bool left = transport_->Forward(watch_.leader(), std::move(request));
    watch_.OnForward(left, now);
    if (!left) {
      proposals_.ReturnFrom(first_sequence);
      if (read.has_value()) {
        reads_.OnRefused(*read);
      }
      return;
    }
  }
}

bool RaftDriver::MayForwardFront() const {
  const bool in_window =
      proposals_.under_way() == 0 ||
      (proposals_.under_way() < options_.forwarded_max &&
       proposals_.under_way_bytes() + proposals_.front_bytes() <= options_.forwarded_bytes_max);
  return in_window && transport_->HasForwardRoom(watch_.leader());
}

void RaftDriver::CarryOutOutput() {
  if (!core_->HasOutput()) {
    return;
  }
  Output output = core_->TakeOutput();
  if (core_->role() == RaftRole::kLeader) {
    cluster_clock_.Lead({.term = core_->term(), .time = core_->last_stamp()});
  }
  if (output.write.has_value()) {
    log_store_->Write(*std::move(output.write));
  }
  const ClusterMillis cluster_time = cluster_clock_.Now();
  const std::vector<NodeId> low_on_disk = LowOnDisk();
  for (Envelope& envelope : output.messages) {
    AddAuditNews(&envelope);
    AddDiskNews(low_on_disk, &envelope.message);
    transport_->Send(std::move(envelope), cluster_time);
  }
  for (const LoadEntries& load : output.loads) {
    log_store_->Load(load);
  }
  loads_under_way_ += output.loads.size();
  for (const NodeId peer : output.snapshots) {
    transfers_.Want(peer);
  }
  apply_queue_.Push(std::move(output.committed));
  for (const ReadOutcome& outcome : output.reads) {
    OnReadOutcome(outcome);
  }
  for (const Event& event : output.events) {
    observer_->OnEvent(event);
  }
}

void RaftDriver::AddDiskNews(const std::vector<NodeId>& low, Message* message) const {
  if (auto* heartbeat = std::get_if<Heartbeat>(message); heartbeat != nullptr) {
    heartbeat->news.low_on_disk = low;
  } else if (auto* reply = std::get_if<HeartbeatReply>(message); reply != nullptr) {
    reply->news.low_on_disk = disk_reports_.own();
  }
}

void RaftDriver::WatchDisks() {
  std::vector<NodeId> low = LowOnDisk();
  if (low != told_low_on_disk_) {
    told_low_on_disk_ = std::move(low);
    observer_->OnLowOnDisk(told_low_on_disk_);
  }
}

void RaftDriver::RequestRead(ReadId id, NodeId asker) {
  observer_->OnReadAsked(id, asker);
  core_->RequestRead(id, asker);
}

void RaftDriver::OnReadOutcome(const ReadOutcome& outcome) {
  observer_->OnReadOutcome(outcome);
  if (forwarded_.OnReadOutcome(outcome)) {
    return;
  }
  if (outcome.aborted) {
    reads_.OnRefused(outcome.id);
  } else {
    reads_.OnConfirmed(outcome.id, outcome.read_index);
  }
}

void RaftDriver::ApplyCommitted() {
  if (MayApply()) {
    const absl::Span<const Entry> run = apply_queue_.Front(options_.apply_bytes_max);
    const MonotonicNanos begun_at = clock_->Now();
    const size_t count = state_machine_->Apply(run, this);
    CHECK_LE(count, run.size());
    apply_stalled_ = count < run.size();
    if (count > 0) {
      observer_->OnApplied(count, clock_->Now() - begun_at);
      const EntryId applied = run[count - 1].id;
      CHECK(state_machine_->applied() == applied) << "index " << applied.index;
      core_->OnApplied(applied.index);
      log_full_ = false;
      if (applied.term > applied_term_) {
        applied_term_ = applied.term;
        proposals_.ReturnBefore(applied_term_);
      }
      apply_queue_.Pop(count);
    }
  }
  reads_.OnApplied(state_machine_->applied().index);
}

void RaftDriver::SendForwardReplies() {
  for (auto& [origin, reply] : forwarded_.TakeReplies(core_->term())) {
    transport_->ReplyToForward(origin, std::move(reply));
  }
}

void RaftDriver::DeliverAnswers() {
  // Callbacks may bring new requests, so nothing of the driver is held while they run.
  for (PendingProposals::Answer& answer : proposals_.TakeAnswers()) {
    observer_->OnProposalAnswered(answer.result);
    answer.done(answer.result, std::move(answer.outcome));
  }
  for (const PendingReads::Answer& answer : reads_.TakeAnswers()) {
    observer_->OnReadAnswered(answer.result);
    answer.done(answer.result);
  }
}

bool RaftDriver::HasWork() const {
  if (core_->HasOutput() || proposals_.has_answers() || reads_.has_answers()) {
    return true;
  }
  if (MayApply() || MayBeginInstall()) {
    return true;
  }
  if (watch_.leading()) {
    return reads_.has_waiting() ||
           (MayProposeNextEntry() && (proposals_.has_waiting() || forwarded_.has_proposals()));
  }
  return watch_.CanForward() &&
         (reads_.has_waiting() || (proposals_.has_waiting() && MayForwardFront()));
}

void RaftDriver::CheckInvariants() const {
  CHECK(!in_turn_);
  const CoreView core = core_->View();
  const EntryId applied = state_machine_->applied();
  CHECK_EQ(core.applied, applied.index) << "the core knows of another applied entry";
  CHECK_EQ(core.handed_out, applied.index + apply_queue_.size())
      << "what the core handed out is neither applied nor queued";
  CHECK_EQ(applied_term_, applied.term);
  CHECK_EQ(core.open_loads, loads_under_way_) << "a load is waited for that nobody works on";
  CHECK(!core.installing || install_.has_value())
      << "a snapshot is waited for that nobody installs";
  CHECK(transfers_.empty() || core.role == RaftRole::kLeader) << "a snapshot of no leader";

  const bool leads = core.role == RaftRole::kLeader;
  CHECK_EQ(watch_.leading(), leads) << "a change of leaders went unnoticed";
  CHECK_EQ(watch_.term(), core.hard_state.term) << "a change of terms went unnoticed";

  proposals_.CheckInvariants(applied_term_);
  reads_.CheckInvariants(applied.index);
  forwarded_.CheckInvariants(leads && !shut_down_ ? core.hard_state.term : Term(0));
  CHECK_EQ(budget_.proposals(), proposals_.size() + forwarded_.proposals())
      << "of the budget, more or less is taken than proposals hold";
}

ReadId RaftDriver::NextReadId() { return std::exchange(next_read_id_, next_read_id_.Next()); }

}  // namespace raftkv::raft
