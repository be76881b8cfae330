#include "tests/simulation/sim_node.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kv/member_list.h"
#include "raft/core/describe.h"
#include "tests/simulation/fingerprints.h"

namespace raftkv::simulation {

using raft::ClusterMillis;
using raft::Envelope;
using raft::NodeId;

namespace {

// Of turns on a machine that is not slow.
constexpr SimTime kTurnDelayMax = 100'000;
constexpr MonotonicNanos kClockOffsetMax = 1'000'000 * kNanosPerSecond;

}  // namespace

SimNode::Process::Process(SimNode* node)
    : events(&node->scheduler_),
      clock(&node->scheduler_, node->dice_.Between(0, kClockOffsetMax), node->drift_ppm_),
      snapshot_sender(node->id_, &node->options_, &node->scheduler_, &events, &node->network_,
                      Dice(node->dice_.Seed(), "snapshot sender"), &node->counters_,
                      node->SnapshotHooks()),
      transport(node->id_, &node->network_, &snapshot_sender,
                [node](const Envelope& envelope) { node->OnSent(envelope); }),
      log_store(&node->options_, &events, &node->disk_, &node->disk_faults_,
                Dice(node->dice_.Seed(), "log store"), &node->counters_,
                {.on_write = [node](const raft::LogWrite& write) { node->OnWrite(write); },
                 .on_trim = [node](raft::LogIndex through) { node->OnTrim(through); },
                 .on_install = [node] { node->observer_.OnInstall(*node); },
                 .on_news = [node] { node->RequestTurn(); },
                 .on_failed_sync = [node] { node->OnFailedSync(); }}),
      state_machine(
          &node->options_, &events, &node->disk_, Dice(node->dice_.Seed(), "state machine"),
          &node->counters_,
          {.on_news = [node] { node->RequestTurn(); },
           .on_applied = [node](const std::vector<AppliedStep>& steps) { node->OnApplied(steps); },
           .on_adopted = [node](const raft::SnapshotPoint& point) { node->OnAdopted(point); }}),
      disk_pool(&node->options_, &events, Dice(node->dice_.Seed(), "disk pool"),
                [node] { node->RequestTurn(); }),
      directory({.id = node->id_.value(),
                 .name = absl::StrCat("n", node->id_.value()),
                 .data_id = node->id_.value(),
                 .client_address = "",
                 .peer_address = absl::StrCat("n", node->id_.value(), ":1")},
                &state_machine.content().configuration, &state_machine) {}

SimNode::SimNode(NodeId id, const Surroundings& surroundings)
    : id_(id),
      options_(*surroundings.options),
      scheduler_(*surroundings.scheduler),
      network_(*surroundings.network),
      trace_(*surroundings.trace),
      counters_(*surroundings.counters),
      observer_(*surroundings.observer),
      drift_ppm_(Dice(options_.seed, absl::StrCat("drift of ", id.value()))
                     .Between(-options_.drift_ppm_max, options_.drift_ppm_max)),
      dice_(options_.seed, absl::StrCat("node ", id.value())),
      disk_(options_.wal_file_records_max, Dice(dice_.Seed(), "disk"), &counters_),
      turn_delay_max_(kTurnDelayMax) {
  disk_.Found(options_.Founded());
}

SimNode::~SimNode() = default;

SnapshotSender::Hooks SimNode::SnapshotHooks() {
  return {
      .on_begun = [this](NodeId peer, raft::Term term,
                         const raft::SnapshotPoint& point) { OnSnapshotBegun(peer, term, point); },
      .on_ended = [this](NodeId peer,
                         const absl::Status& status) { OnSnapshotEnded(peer, status); }};
}

raft::RestoredState SimNode::Restore() {
  const DiskContent& content = disk_.content();
  raft::RestoredState restored;
  restored.hard_state = content.hard_state;
  restored.applied = content.table.applied.id;
  restored.configuration = kv::IdsOf(*content.table.configuration);
  counters_.Note(Situation::kTrimmedLogStarted, content.log.trimmed.value() > 0 ? 1 : 0);
  // The newest entries, and all that are not applied.
  uint64_t bytes = 0;
  uint64_t size = content.log.entries.size();
  for (; size > content.log.trimmed.value(); --size) {
    const raft::Entry& entry = content.log.entries[size - 1];
    bytes += entry.size_bytes();
    if (entry.id.index <= restored.applied.index && bytes > options_.log_memory_bytes_max) {
      counters_.Note(Situation::kLogStartedInTheMiddle);
      break;
    }
    restored.tail.push_back(entry);
  }
  if (size > 0) {
    restored.previous = content.log.entries[size - 1].id;
    restored.previous_stamp = content.log.entries[size - 1].stamp;
  }
  std::reverse(restored.tail.begin(), restored.tail.end());
  return restored;
}

raft::ClusterReading SimNode::RestoredClock() const {
  const DiskContent& content = disk_.content();
  raft::ClusterReading log_end;
  if (!content.log.entries.empty()) {
    const raft::Entry& last = content.log.entries.back();
    log_end = {.term = last.id.term, .time = last.stamp};
  }
  return raft::RestoredReading(content.cluster_clock, log_end);
}

void SimNode::Start() {
  CHECK(!is_up());
  observer_.OnStarted(*this);
  process_ = std::make_unique<Process>(this);
  Process& process = *process_;
  kv::MemberOptions member;
  member.raft = options_.CoreConfig(id_);
  member.driver = options_.driver;
  member.seed = dice_.Seed();
  member.origin = dice_.Seed() | 1;
  // The server's second is its election timeout.
  member.clock_save_interval = options_.ElectionTimeout();
  member.publishes = false;
  member.watches = options_.watches;
  member.due_keys_max = std::min(options_.due_keys_max, kv::Expirer::kKeysMax);
  process.member = std::make_unique<kv::Member>(
      member,
      kv::Member::Edges{
          .transport = &process.transport,
          .log_store = &process.log_store,
          .state_machine = &process.state_machine,
          .clock = &process.clock,
          .observer = this,
          .directory = &process.directory,
          .reads = &process.disk_pool,
          .scans = &process.disk_pool,
          .upkeep = &process.disk_pool,
          .save_clock = [this](const raft::ClusterReading& reading) { disk_.Write(reading); },
          .on_unusable = [](const std::string& problem) { LOG(FATAL) << problem; },
          .on_wrong_state = [](const std::string& what) { LOG(FATAL) << what; }},
      Restore(), RestoredClock());
  process.front = std::make_unique<KvFront>(process.member.get(), &process.clock, &counters_);
  process.snapshot_receiver = std::make_unique<SnapshotReceiver>(
      id_, &options_, &scheduler_, &process.events, &network_, &process.member->driver(),
      &process.state_machine, Dice(dice_.Seed(), "snapshot receiver"), &counters_,
      [this] { RequestTurn(); });
  network_.Attach(id_, this);
  trace_.Add({id_.value(), process.member->driver().core().term().value()}, [&] {
    const raft::RaftCore& restored = process.member->driver().core();
    return absl::StrCat("n", id_.value(), " starts: term ", restored.term().value(), ", log to ",
                        raft::Describe(restored.last_entry()), ", trimmed up to ",
                        disk_.content().log.trimmed.value(), ", applied ",
                        restored.applied_index().value());
  });
  process.events.After(dice_.Between(0, SimOptions::kTickNanos), [this] { Tick(); });
}

void SimNode::End(Ending ending) {
  CHECK(is_up());
  trace_.Add({id_.value(), static_cast<uint64_t>(ending)}, [&] {
    const char* const what[] = {" is killed", " loses power", " stops"};
    return absl::StrCat("n", id_.value(), what[static_cast<int>(ending)]);
  });
  if (ending == Ending::kStopped) {
    process_->member->store().Drain();
    process_->member->driver().Shutdown();
    process_->member->membership()->Shutdown();
    process_->log_store.FinishWrites();
  }
  process_.reset();
  network_.Detach(id_, /*silently=*/ending == Ending::kPowerLost);
  if (ending == Ending::kPowerLost) {
    disk_.OnPowerLost();
  } else {
    disk_.OnProcessKilled();
  }
}

void SimNode::Bend() {
  trace_.Add({id_.value()}, [&] { return absl::StrCat("n", id_.value(), " has its state bent"); });
  process_->state_machine.Bend();
}

void SimNode::Straighten() {
  trace_.Add({id_.value()},
             [&] { return absl::StrCat("n", id_.value(), " has its state put right"); });
  process_->state_machine.Straighten();
}

bool SimNode::is_bent() const {
  return IsBent(is_up() ? process_->state_machine.content() : disk_.content().table);
}

void SimNode::Pause() {
  CHECK(is_up());
  process_->events.Stop();
  const uint64_t pause = ++pauses_;
  trace_.Add({id_.value(), pause}, [&] { return absl::StrCat("n", id_.value(), " is paused"); });
  scheduler_.After(options_.silence_limit, [this, pause] {
    if (is_paused() && pauses_ == pause) {
      network_.OnProcessSilent(id_);
    }
  });
}

void SimNode::Continue() {
  CHECK(is_up());
  if (process_->aborting) {
    return;
  }
  trace_.Add({id_.value()}, [&] { return absl::StrCat("n", id_.value(), " continues"); });
  process_->events.Continue();
}

void SimNode::Handle(Request request, ReplyCallback done) {
  process_->events.Now([this, request = std::move(request), done = std::move(done)]() mutable {
    process_->front->Handle(std::move(request), std::move(done));
    RequestTurn();
  });
}

void SimNode::TransferLeadership(NodeId target, raft::TransferCallback done) {
  process_->member->driver().TransferLeadership(target, std::move(done));
  RequestTurn();
}

void SimNode::FindUnreachable(NodeId peer) {
  process_->member->driver().OnPeerUnreachable(peer);
  RequestTurn();
}

void SimNode::ChangeMembers(kv::Membership::Change change, kv::Membership::Done done) {
  const MonotonicNanos deadline = process_->clock.Now() + 10 * options_.ElectionTimeout();
  process_->member->membership()->Request(std::move(change), deadline, std::move(done));
  RequestTurn();
}

void SimNode::OnFrame(NodeId from, Frame frame) {
  process_->events.Now([this, from, frame = std::move(frame)]() mutable {
    TakeFrame(from, std::move(frame));
    RequestTurn();
  });
}

void SimNode::OnPart(NodeId from, raft::Term term, std::function<void()> take) {
  process_->events.Now([this, from, term, take = std::move(take)] {
    process_->member->driver().OnPartHeard(from, term);
    take();
  });
}

void SimNode::OnPartTaken(NodeId peer) {
  process_->events.Now([this, peer] { process_->member->driver().OnPartTaken(peer); });
}

void SimNode::TakeFrame(NodeId from, Frame frame) {
  raft::RaftDriver& driver = process_->member->driver();
  const auto step = [&](std::vector<Envelope>* messages) {
    for (Envelope& message : *messages) {
      trace_.Add({FingerprintOf(message)},
                 [&] { return absl::StrCat("  ", raft::Describe(message)); });
      // No node lies here, so none may be refused.
      const absl::Status taken = driver.Take(message);
      CHECK(taken.ok() || options_.only_spec) << raft::Describe(message) << ": " << taken;
    }
  };
  if (auto* leader = std::get_if<LeaderFrame>(&frame)) {
    const ClusterMillis before = driver.Now();
    trace_.Add({leader->term.value(), leader->cluster_time.value(), before.value()}, [&] {
      return absl::StrCat("n", id_.value(), " at cluster time ", before.value(), " hears ",
                          leader->cluster_time.value(), " from the leader of term ",
                          leader->term.value());
    });
    step(&leader->messages);
    driver.ObserveClusterTime(leader->term, leader->cluster_time);
    counters_.Note(Situation::kClusterClockStepBack, driver.Now() < before ? 1 : 0);
  } else if (auto* follower = std::get_if<FollowerFrame>(&frame)) {
    step(&follower->messages);
  } else if (auto* vote = std::get_if<VoteFrame>(&frame)) {
    std::vector<Envelope> message = {std::move(vote->message)};
    step(&message);
  } else if (auto* request = std::get_if<raft::ForwardRequest>(&frame)) {
    trace_.Add({from.value(), id_.value(), FingerprintOf(*request)}, [&] {
      return absl::StrCat(
          "  ", from.value(), "->", id_.value(), " forward term=", request->term.value(),
          " proposals=", request->proposals.size(), " reads=", request->reads.size());
    });
    driver.OnForwardRequest(from, std::move(*request));
  } else if (auto* reply = std::get_if<raft::ForwardReply>(&frame)) {
    trace_.Add({from.value(), id_.value(), FingerprintOf(*reply)}, [&] {
      return absl::StrCat("  ", from.value(), "->", id_.value(),
                          " forward reply: refused=", reply->refused_proposals.size(),
                          " reads=", reply->reads.size(),
                          " refused_reads=", reply->refused_reads.size());
    });
    driver.OnForwardReply(from, std::move(*reply));
  } else {
    TakeSnapshotFrame(from, std::move(frame));
  }
}

void SimNode::TakeSnapshotFrame(NodeId from, Frame frame) {
  const auto tell = [&](absl::string_view what, uint64_t attempt, uint64_t number) {
    trace_.Add({from.value(), id_.value(), attempt, number}, [&] {
      return absl::StrCat("  ", from.value(), "->", id_.value(), " snapshot ", what, " ", number);
    });
  };
  if (const auto* offer = std::get_if<SnapshotOffer>(&frame)) {
    tell("offer: up to", offer->attempt, offer->point.last.index.value());
    process_->snapshot_receiver->OnOffer(from, *offer);
  } else if (auto* chunk = std::get_if<SnapshotChunk>(&frame)) {
    tell(chunk->last ? "last chunk" : "chunk", chunk->attempt, chunk->number);
    process_->snapshot_receiver->OnChunk(from, std::move(*chunk));
  } else {
    const auto& answer = std::get<SnapshotAnswer>(frame);
    tell(answer.next_chunk.has_value() ? "answer: go on at"
                                       : absl::StrCat("answer: ", answer.status.ToString()),
         answer.attempt, answer.next_chunk.value_or(0));
    process_->snapshot_sender.OnAnswer(from, answer);
  }
}

void SimNode::OnAppendStreamLost(NodeId peer) { process_->lost_append_streams.insert(peer); }
void SimNode::OnForwardStreamLost(NodeId peer) { process_->lost_forward_streams.insert(peer); }
void SimNode::OnSnapshotStreamLost(NodeId peer) { process_->lost_snapshot_streams.insert(peer); }
void SimNode::Wake() { RequestTurn(); }

void SimNode::Tick() {
  Process& process = *process_;
  process.events.After(process.clock.TrueDuration(SimOptions::kTickNanos), [this] { Tick(); });
  process.snapshot_sender.Tick();
  process.snapshot_receiver->Tick();
  process.member->driver().SetLowOnDisk(disk_faults_.nearly_full);
  process.member->Tick();
  RunTurn();
}

void SimNode::RequestTurn() {
  if (std::exchange(process_->turn_due, true)) {
    return;
  }
  process_->events.After(dice_.Between(0, turn_delay_max_), [this] {
    process_->turn_due = false;
    RunTurn();
  });
}

void SimNode::RunTurn() {
  Process& process = *process_;
  if (process.aborting) {
    return;
  }
  for (const NodeId peer : std::exchange(process.lost_append_streams, {})) {
    process.member->driver().OnStreamLost(peer);
  }
  for (const NodeId peer : std::exchange(process.lost_forward_streams, {})) {
    process.member->driver().OnForwardLost(peer);
  }
  for (const NodeId peer : std::exchange(process.lost_snapshot_streams, {})) {
    process.snapshot_sender.OnStreamLost(peer);
  }
  const bool more = process.member->RunTurn();
  process.member->driver().CheckInvariants();
  process.transport.Flush();
  observer_.OnTurn(*this);
  if (more) {
    RequestTurn();
  }
}

void SimNode::OnSent(const Envelope& envelope) {
  // Told when it arrives; what is lost counts as well.
  trace_.Add({FingerprintOf(envelope)});
  observer_.OnSent(*this, envelope);
}

void SimNode::OnWrite(const raft::LogWrite& write) {
  trace_.Add({id_.value(), FingerprintOf(write)},
             [&] { return absl::StrCat("n", id_.value(), " writes ", raft::Describe(write)); });
  observer_.OnWrite(*this, write);
}

void SimNode::OnApplied(const std::vector<AppliedStep>& steps) {
  for (const AppliedStep& step : steps) {
    trace_.Add({id_.value(), step.state_hash}, [&] {
      return absl::StrCat("n", id_.value(), " applies ", raft::Describe(step.entry.id),
                          ": revision ", step.applied.revision, ", ", step.applied.key_count,
                          " keys");
    });
  }
  observer_.OnApplied(*this, steps);
}

void SimNode::OnTrim(raft::LogIndex through) {
  trace_.Add({id_.value(), through.value()}, [&] {
    return absl::StrCat("n", id_.value(), " trims its log up to ", through.value());
  });
  observer_.OnTrim(*this, through);
}

void SimNode::OnSnapshotBegun(NodeId peer, raft::Term term, const raft::SnapshotPoint& point) {
  trace_.Add({id_.value(), peer.value(), point.last.index.value()}, [&] {
    return absl::StrCat("n", id_.value(), " begins to bring n", peer.value(), " a ",
                        raft::Describe(point));
  });
  observer_.OnSnapshotSent(*this, peer, term, point);
}

void SimNode::OnSnapshotEnded(NodeId peer, const absl::Status& status) {
  trace_.Add({id_.value(), peer.value(), static_cast<uint64_t>(status.code())}, [&] {
    return absl::StrCat("n", id_.value(), " has brought n", peer.value(),
                        " a snapshot: ", status.ToString());
  });
  process_->member->driver().OnSnapshotSent(peer, status);
  RequestTurn();
}

void SimNode::OnSnapshotOutrun(NodeId peer, raft::LogIndex through) {
  trace_.Add({id_.value(), peer.value(), through.value()}, [&] {
    return absl::StrCat("n", id_.value(), " outruns the snapshot to n", peer.value(), " up to ",
                        through.value());
  });
  counters_.Note(Situation::kSnapshotOutrun);
}

void SimNode::OnStateDiffers(const raft::StateDifference& difference) {
  // Nothing of this process happens any more.
  process_->events.Stop();
  process_->aborting = true;
  trace_.Add({id_.value(), difference.index.value(), difference.own_hash}, [&] {
    return absl::StrCat("n", id_.value(), " stops: its state differs at ",
                        difference.index.value());
  });
  observer_.OnStateDiffers(*this);
  scheduler_.After(0, [this, alive = process_->events.alive()] {
    if (!*alive) {
      return;
    }
    End(Ending::kKilled);
    disk_.Straighten();
    observer_.OnAborted(*this);
  });
}

void SimNode::OnMemberDiffers(NodeId member, const raft::StateDifference& difference) {
  observer_.OnAuditFinding(
      *this, absl::StrCat("node ", member.value(), " differs at index ", difference.index.value()));
}

void SimNode::OnStatesDisagree(raft::LogIndex index) {
  observer_.OnAuditFinding(*this, absl::StrCat("no quorum agrees at index ", index.value()));
}

void SimNode::OnAdopted(const raft::SnapshotPoint& point) {
  trace_.Add({id_.value(), point.last.index.value(), point.last.term.value()},
             [&] { return absl::StrCat("n", id_.value(), " adopts a ", raft::Describe(point)); });
  observer_.OnSnapshotAdopted(*this, point);
}

void SimNode::OnEvent(const raft::Event& event) {
  trace_.Add({id_.value(), static_cast<uint64_t>(event.kind), event.term.value()},
             [&] { return absl::StrCat("n", id_.value(), " ", raft::Describe(event)); });
  observer_.OnEvent(*this, event);
}

void SimNode::OnReadAsked(raft::ReadId id, NodeId asker) {
  observer_.OnReadAsked(*this, id, asker);
}

void SimNode::OnReadOutcome(const raft::ReadOutcome& outcome) {
  observer_.OnReadOutcome(*this, outcome);
}

void SimNode::OnFailedSync() {
  // Nothing of this process happens any more.
  process_->events.Stop();
  process_->aborting = true;
  trace_.Add({id_.value()}, [&] { return absl::StrCat("n", id_.value(), " fails to sync"); });
  scheduler_.After(0, [this, alive = process_->events.alive()] {
    if (!*alive) {
      return;
    }
    // What was written may be on the disk all the same.
    const bool survives = dice_.Chance(500);
    counters_.Note(Situation::kFailedSyncSurvived, survives ? 1 : 0);
    End(survives ? Ending::kKilled : Ending::kPowerLost);
    observer_.OnAborted(*this);
  });
}

}  // namespace raftkv::simulation
