#include "tests/simulation/snapshot_receiver.h"

#include <glog/logging.h>

#include <utility>

namespace raftkv::simulation {

using raft::NodeId;

namespace {

// What was broken off is kept for so many election timeouts.
constexpr int64_t kKeptTimeouts = 3;

}  // namespace

SnapshotReceiver::SnapshotReceiver(NodeId self, const SimOptions* options,
                                   const Scheduler* scheduler, ProcessEvents* events,
                                   Network* network, raft::RaftDriver* driver,
                                   raft::StateMachine* state_machine, Dice dice, Counters* counters,
                                   std::function<void()> on_news)
    : self_(self),
      options_(*options),
      scheduler_(*scheduler),
      events_(*events),
      network_(*network),
      driver_(*driver),
      state_machine_(*state_machine),
      dice_(dice),
      counters_(*counters),
      on_news_(std::move(on_news)) {}

bool SnapshotReceiver::Holds(NodeId from, const SnapshotOffer& offer) const {
  return staging_.has_value() && staging_->from == from && staging_->offer.term == offer.term &&
         staging_->offer.point == offer.point;
}

void SnapshotReceiver::OnOffer(NodeId from, const SnapshotOffer& offer) {
  const absl::Status status = driver_.CheckSnapshot(from, offer.term, offer.point);
  if (!status.ok()) {
    EndAttempt(from, offer.attempt, status);
    return;
  }
  if (!Holds(from, offer)) {
    counters_.Note(Situation::kSnapshotBegunAgain, staging_.has_value() ? 1 : 0);
    // The old one ends before the new one begins.
    staging_.reset();
    staging_ = Staging{.number = ++last_number_,
                       .from = from,
                       .offer = offer,
                       .writer = state_machine_.StageSnapshot(offer.point)};
  }
  counters_.Note(Situation::kSnapshotResumed, staging_->next_chunk > 0 ? 1 : 0);
  staging_->offer = offer;
  if (!staging_->busy) {
    AskForNext();
  }
}

void SnapshotReceiver::OnChunk(NodeId from, SnapshotChunk chunk) {
  driver_.OnPartHeard(from, chunk.term);
  const bool is_next = staging_.has_value() && staging_->from == from &&
                       staging_->offer.attempt == chunk.attempt && !staging_->busy &&
                       staging_->next_chunk == chunk.number;
  if (is_next) {
    OnDiskDone([this, chunk = std::move(chunk)] { Stage(chunk); });
  }
}

void SnapshotReceiver::OnDiskDone(std::function<void()> event) {
  staging_->busy = true;
  events_.After(dice_.Between(options_.sync_min, options_.sync_max),
                [this, number = staging_->number, event = std::move(event)] {
                  if (staging_.has_value() && staging_->number == number) {
                    staging_->busy = false;
                    event();
                  }
                });
}

void SnapshotReceiver::Stage(const SnapshotChunk& chunk) {
  if (!network_.is_reliable() && dice_.Chance(options_.snapshot_fail_permille)) {
    counters_.Note(Situation::kSnapshotFailed);
    const Staging dropped = *std::exchange(staging_, std::nullopt);
    EndAttempt(dropped.from, dropped.offer.attempt,
               absl::ResourceExhaustedError("the disk is full"));
    return;
  }
  // No node lies here, so none may be refused.
  const absl::Status written = staging_->writer->Write(chunk.data);
  CHECK(written.ok()) << written;
  ++staging_->next_chunk;
  if (!chunk.last) {
    AskForNext();
    return;
  }
  absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> snapshot = staging_->writer->Finish();
  if (!snapshot.ok()) {
    // Of a state that was bent.
    const Staging dropped = *std::exchange(staging_, std::nullopt);
    EndAttempt(dropped.from, dropped.offer.attempt, snapshot.status());
    return;
  }
  OnDiskDone([this, snapshot = *std::move(snapshot)] { Install(snapshot); });
}

void SnapshotReceiver::Install(std::shared_ptr<raft::StagedSnapshot> snapshot) {
  const Staging staged = *std::exchange(staging_, std::nullopt);
  driver_.InstallSnapshot(staged.offer.term, std::move(snapshot),
                          [this, from = staged.from, attempt = staged.offer.attempt](
                              const absl::Status& status) { EndAttempt(from, attempt, status); });
  on_news_();
}

void SnapshotReceiver::AskForNext() {
  staging_->touched_at = scheduler_.now();
  network_.AnswerSnapshot(
      self_, staging_->from,
      {.attempt = staging_->offer.attempt, .next_chunk = staging_->next_chunk, .status = {}});
}

void SnapshotReceiver::EndAttempt(NodeId from, uint64_t attempt, const absl::Status& status) {
  const bool is_stale = absl::IsAlreadyExists(status) || absl::IsFailedPrecondition(status);
  counters_.Note(Situation::kSnapshotRefusedAsStale, is_stale ? 1 : 0);
  network_.AnswerSnapshot(self_, from,
                          {.attempt = attempt, .next_chunk = std::nullopt, .status = status});
}

void SnapshotReceiver::Tick() {
  if (staging_.has_value() && !staging_->busy &&
      scheduler_.now() > staging_->touched_at + kKeptTimeouts * options_.ElectionTimeout()) {
    staging_.reset();
  }
}

}  // namespace raftkv::simulation
