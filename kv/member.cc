#include "kv/member.h"

#include <utility>

#include "base/rng.h"

namespace raftkv::kv {

Member::Member(const MemberOptions& options, Edges edges, raft::RestoredState restored,
               const raft::ClusterReading& restored_clock)
    : options_(options),
      edges_(std::move(edges)),
      driver_(
          options_.driver, options_.origin,
          std::make_unique<raft::RaftCore>(options_.raft, std::move(restored), Rng(options_.seed)),
          restored_clock, edges_.transport, edges_.log_store, edges_.state_machine, edges_.clock,
          edges_.observer),
      store_(&driver_, edges_.state_machine, edges_.reads, edges_.clock, edges_.on_damaged),
      expirer_(&driver_, edges_.state_machine, edges_.clock,
               [this](std::shared_ptr<const KvView> view, raft::ClusterMillis now,
                      std::function<void(absl::StatusOr<DueKeys>)> done) {
                 ScanForDueKeys(std::move(view), now, std::move(done));
               }) {
  if (edges_.directory != nullptr) {
    publisher_.emplace(edges_.directory, &store_, edges_.clock, options_.publish_timeout);
  }
}

void Member::Tick() {
  driver_.Tick();
  store_.Tick();
  if (!store_.draining()) {
    expirer_.Tick();
    if (publisher_.has_value()) {
      publisher_->Tick();
    }
  }
  SaveClock();
}

bool Member::RunTurn() {
  const bool more = driver_.RunTurn();
  store_.OnApplied();
  return more;
}

void Member::SaveClock() {
  const MonotonicNanos now = edges_.clock->Now();
  if (now >= next_clock_save_ && edges_.state_machine->earliest_deadline().value() != 0) {
    next_clock_save_ = now + options_.clock_save_interval;
    edges_.save_clock(driver_.ReadClusterClock());
  }
}

void Member::ScanForDueKeys(std::shared_ptr<const KvView> view, raft::ClusterMillis now,
                            std::function<void(absl::StatusOr<DueKeys>)> done) {
  const bool submitted = edges_.scans->Submit(
      DiskPool::Length::kShort, [this, view = std::move(view), now, done]() mutable {
        auto due = view->FindDueKeys(now, options_.due_keys_max);
        view.reset();
        return [this, done, due = std::move(due)]() mutable {
          if (absl::IsDataLoss(due.status())) {
            edges_.on_damaged(std::string(due.status().message()));
          }
          done(std::move(due));
        };
      });
  if (!submitted) {
    done(absl::ResourceExhaustedError("the last scan is still under way"));
  }
}

}  // namespace raftkv::kv
