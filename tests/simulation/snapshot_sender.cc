#include "tests/simulation/snapshot_sender.h"

#include <glog/logging.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace raftkv::simulation {

using raft::NodeId;

namespace {

// Without a word of the follower for so many election timeouts it is asked again, or given up.
constexpr int64_t kAskAgainTimeouts = 2;
constexpr int64_t kGiveUpTimeouts = 5;
// What is offered again comes within so many.
constexpr int64_t kEchoTimeouts = 6;

}  // namespace

SnapshotSender::SnapshotSender(NodeId self, const SimOptions* options, const Scheduler* scheduler,
                               ProcessEvents* events, Network* network, Dice dice,
                               Counters* counters, Hooks hooks)
    : self_(self),
      options_(*options),
      scheduler_(*scheduler),
      events_(*events),
      network_(*network),
      dice_(dice),
      counters_(*counters),
      hooks_(std::move(hooks)),
      last_attempt_(dice_.Seed()) {}

void SnapshotSender::Send(NodeId peer, raft::Term term,
                          std::unique_ptr<raft::SnapshotReader> reader) {
  counters_.Note(Situation::kSnapshotSent);
  hooks_.on_begun(peer, term, reader->point());
  if (const auto old = sendings_.extract(peer); !old.empty()) {
    CHECK(old.mapped().is_echo) << "a second snapshot to " << peer;
  }
  Begin(peer, {.term = term, .reader = std::move(reader)});
}

void SnapshotSender::Begin(NodeId peer, Sending sending) {
  Sending& begun = sendings_[peer] = std::move(sending);
  begun.heard_at = scheduler_.now();
  Open(peer, &begun);
}

void SnapshotSender::Open(NodeId peer, Sending* sending) {
  sending->attempt = ++last_attempt_;
  sending->opened_at = scheduler_.now();
  sending->is_open = network_.SendSnapshotFrame(
      self_, peer,
      SnapshotOffer{
          .attempt = sending->attempt, .term = sending->term, .point = sending->reader->point()});
}

void SnapshotSender::Stop(NodeId peer) {
  auto stopped = sendings_.extract(peer);
  if (!stopped.empty() && !stopped.mapped().is_echo) {
    counters_.Note(Situation::kSnapshotStopped);
    MaybeEcho(peer, std::move(stopped.mapped()));
  }
}

void SnapshotSender::OnAnswer(NodeId peer, const SnapshotAnswer& answer) {
  const auto found = sendings_.find(peer);
  if (found == sendings_.end() || found->second.attempt != answer.attempt) {
    return;
  }
  if (!answer.next_chunk.has_value()) {
    End(peer, absl::IsAlreadyExists(answer.status) ? absl::OkStatus() : answer.status);
    return;
  }
  found->second.heard_at = found->second.opened_at = scheduler_.now();
  events_.After(dice_.Between(options_.sync_min, options_.sync_max),
                [this, peer, attempt = answer.attempt, number = *answer.next_chunk] {
                  SendChunk(peer, attempt, number);
                });
}

void SnapshotSender::SendChunk(NodeId peer, uint64_t attempt, uint64_t number) {
  const auto found = sendings_.find(peer);
  if (found == sendings_.end() || found->second.attempt != attempt) {
    return;
  }
  Sending& sending = found->second;
  if (!network_.is_reliable() && dice_.Chance(options_.snapshot_fail_permille)) {
    counters_.Note(Situation::kSnapshotFailed);
    End(peer, absl::DataLossError("a file is corrupted"));
    return;
  }
  std::optional<std::string> data = *sending.reader->ReadChunk(number);
  CHECK(data.has_value()) << "chunk " << number << " is asked for, which there is not";
  const bool last = !sending.reader->ReadChunk(number + 1)->has_value();
  const bool sent = network_.SendSnapshotFrame(self_, peer,
                                               SnapshotChunk{.attempt = attempt,
                                                             .term = sending.term,
                                                             .number = number,
                                                             .data = *std::move(data),
                                                             .last = last});
  sending.is_open = sending.is_open && sent;
}

void SnapshotSender::OnStreamLost(NodeId peer) {
  const auto found = sendings_.find(peer);
  if (found != sendings_.end() && std::exchange(found->second.is_open, false)) {
    counters_.Note(Situation::kSnapshotBrokenOff);
  }
}

void SnapshotSender::Tick() {
  std::vector<NodeId> given_up;
  for (auto& [peer, sending] : sendings_) {
    if (scheduler_.now() > sending.heard_at + kGiveUpTimeouts * options_.ElectionTimeout()) {
      given_up.push_back(peer);
    } else if (!sending.is_open ||
               scheduler_.now() >
                   sending.opened_at + kAskAgainTimeouts * options_.ElectionTimeout()) {
      Open(peer, &sending);
    }
  }
  for (const NodeId peer : given_up) {
    End(peer, absl::UnavailableError("the follower does not answer"));
  }
}

void SnapshotSender::End(NodeId peer, const absl::Status& status) {
  auto ended = sendings_.extract(peer);
  if (!ended.mapped().is_echo) {
    hooks_.on_ended(peer, status);
    MaybeEcho(peer, std::move(ended.mapped()));
  }
}

void SnapshotSender::MaybeEcho(NodeId peer, Sending sending) {
  if (!dice_.Chance(options_.snapshot_echo_permille)) {
    return;
  }
  sending.is_echo = true;
  events_.After(dice_.Between(0, kEchoTimeouts * options_.ElectionTimeout()),
                [this, peer, sending = std::move(sending)] {
                  if (!sendings_.contains(peer)) {
                    counters_.Note(Situation::kSnapshotEchoed);
                    Begin(peer, sending);
                  }
                });
}

}  // namespace raftkv::simulation
