#include "tests/simulation/sim_node.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
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
      transport(node->id_, &node->network_,
                [node](const Envelope& envelope) { node->OnSent(envelope); }),
      log_store(&node->options_, &events, &node->disk_, &node->disk_faults_,
                Dice(node->dice_.Seed(), "log store"), &node->counters_,
                {.on_write = [node](const raft::LogWrite& write) { node->OnWrite(write); },
                 .on_news = [node] { node->RequestTurn(); },
                 .on_failed_sync = [node] { node->OnFailedSync(); }}),
      state_machine(
          &node->options_, &events, &node->disk_, Dice(node->dice_.Seed(), "state machine"),
          &node->counters_,
          {.on_news = [node] { node->RequestTurn(); },
           .on_applied =
               [node](const std::vector<AppliedStep>& steps) { node->OnApplied(steps); }}),
      disk_pool(&node->options_, &events, Dice(node->dice_.Seed(), "disk pool"),
                [node] { node->RequestTurn(); }) {}

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
      turn_delay_max_(kTurnDelayMax) {}

SimNode::~SimNode() = default;

raft::RestoredState SimNode::Restore() {
  const DiskContent& content = disk_.content();
  raft::RestoredState restored;
  restored.hard_state = content.hard_state;
  restored.applied = content.table.applied.id;
  for (uint64_t node = 1; node <= options_.nodes; ++node) {
    restored.configuration.voters.insert(NodeId(node));
  }
  // The newest entries, and all that are not applied.
  uint64_t bytes = 0;
  for (auto entry = content.log.rbegin(); entry != content.log.rend(); ++entry) {
    bytes += entry->size_bytes();
    if (entry->id.index <= restored.applied.index && bytes > options_.log_memory_bytes_max) {
      restored.previous = entry->id;
      restored.previous_stamp = entry->stamp;
      counters_.Note(Situation::kLogStartedInTheMiddle);
      break;
    }
    restored.tail.push_back(*entry);
  }
  std::reverse(restored.tail.begin(), restored.tail.end());
  return restored;
}

raft::ClusterReading SimNode::RestoredClock() const {
  const DiskContent& content = disk_.content();
  raft::ClusterReading log_end;
  if (!content.log.empty()) {
    log_end = {.term = content.log.back().id.term, .time = content.log.back().stamp};
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
  member.due_keys_max = std::min(options_.due_keys_max, kv::Expirer::kKeysMax);
  process.member = std::make_unique<kv::Member>(
      member,
      kv::Member::Edges{
          .transport = &process.transport,
          .log_store = &process.log_store,
          .state_machine = &process.state_machine,
          .clock = &process.clock,
          .observer = this,
          .directory = nullptr,
          .reads = &process.disk_pool,
          .scans = &process.disk_pool,
          .save_clock = [this](const raft::ClusterReading& reading) { disk_.Write(reading); },
          .on_unusable = [](const std::string& problem) { LOG(FATAL) << problem; }},
      Restore(), RestoredClock());
  process.front = std::make_unique<KvFront>(process.member.get(), &process.clock, &counters_);
  network_.Attach(id_, this);
  trace_.Add({id_.value(), process.member->driver().core().term().value()}, [&] {
    const raft::RaftCore& restored = process.member->driver().core();
    return absl::StrCat("n", id_.value(), " starts: term ", restored.term().value(), ", log to ",
                        raft::Describe(restored.last_entry()), ", applied ",
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
  } else {
    auto& reply = std::get<raft::ForwardReply>(frame);
    trace_.Add({from.value(), id_.value(), FingerprintOf(reply)}, [&] {
      return absl::StrCat("  ", from.value(), "->", id_.value(),
                          " forward reply: refused=", reply.refused_proposals.size(),
                          " reads=", reply.reads.size(),
                          " refused_reads=", reply.refused_reads.size());
    });
    driver.OnForwardReply(from, std::move(reply));
  }
}

void SimNode::OnAppendStreamLost(NodeId peer) { process_->lost_append_streams.insert(peer); }
void SimNode::OnForwardStreamLost(NodeId peer) { process_->lost_forward_streams.insert(peer); }
void SimNode::Wake() { RequestTurn(); }

void SimNode::Tick() {
  Process& process = *process_;
  process.events.After(process.clock.TrueDuration(SimOptions::kTickNanos), [this] { Tick(); });
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
  for (const NodeId peer : std::exchange(process.lost_append_streams, {})) {
    process.member->driver().OnStreamLost(peer);
  }
  for (const NodeId peer : std::exchange(process.lost_forward_streams, {})) {
    process.member->driver().OnForwardLost(peer);
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
