#include "kv/member.h"

#include <utility>

#include "base/rng.h"
#include "glog/logging.h"

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
      store_(&driver_, edges_.state_machine, edges_.reads, edges_.upkeep, edges_.clock,
             edges_.directory, {edges_.on_unusable, edges_.on_wrong_state}),
      watches_(options_.watches, edges_.state_machine, edges_.reads, edges_.on_unusable),
      expirer_(&driver_, edges_.state_machine, edges_.clock,
               [this](std::shared_ptr<const KvView> view, raft::ClusterMillis now,
                      std::function<void(absl::StatusOr<DueKeys>)> done) {
                 ScanForDueKeys(std::move(view), now, std::move(done));
               }),
      lease_expirer_(&driver_, edges_.state_machine, edges_.clock) {
  if (edges_.directory != nullptr) {
    const MonotonicNanos election_timeout =
        static_cast<MonotonicNanos>(options_.raft.election_timeout_ticks) * options_.tick;
    membership_ = std::make_unique<Membership>(
        &driver_, edges_.directory, edges_.clock,
        Membership::Times{.election_timeout = election_timeout, .wait = 3 * election_timeout});
  }
  if (edges_.directory != nullptr && options_.publishes) {
    const auto see_to = [this](StandingProposal::Missing missing) {
      standing_proposals_.push_back(std::make_unique<StandingProposal>(
          std::move(missing), &store_, edges_.clock, options_.publish_timeout));
    };
    see_to([this] { return UnpublishedRecord(*edges_.directory); });
    see_to([this] { return DueVersionRaise(*edges_.directory, store_); });
  }
}

void Member::Tick() {
  driver_.Tick();
  store_.Tick();
  store_.CheckAge();
  if (!store_.draining()) {
    expirer_.Tick();
    lease_expirer_.Tick();
    for (const auto& proposal : standing_proposals_) {
      proposal->Tick();
    }
  }
  if (membership_ != nullptr) {
    membership_->Advance();
  }
  WatchVersion();
  FollowPriorities();
  SaveClock();
}

void Member::Join(raft::NodeId id, raft::Configuration configuration) {
  options_.raft.self = id;
  raft::RestoredState restored;
  restored.configuration = std::move(configuration);
  driver_.Join(
      std::make_unique<raft::RaftCore>(options_.raft, std::move(restored), Rng(options_.seed)));
}

bool Member::RunTurn() {
  const bool more = driver_.RunTurn();
  store_.OnApplied();
  const bool tells_more = watches_.OnTurn();
  if (membership_ == nullptr) {
    return more || tells_more;
  }
  membership_->Advance();
  return more || tells_more || driver_.core().HasOutput();
}

void Member::WatchVersion() {
  if (!edges_.state_machine->too_new().empty()) {
    edges_.on_unusable(edges_.state_machine->too_new());
  }
  const uint32_t version = edges_.state_machine->cluster_version();
  if (told_cluster_version_ != 0 && told_cluster_version_ != version) {
    LOG(INFO) << "every member knows the commands of version " << version
              << ": that is the cluster version now, and older members are refused";
  }
  told_cluster_version_ = version;
}

void Member::FollowPriorities() {
  if (edges_.directory == nullptr) {
    return;
  }
  if (auto known = edges_.directory->Priorities(); known != driver_.core().priorities()) {
    driver_.SetPriorities(std::move(known));
  }
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
            edges_.on_unusable(std::string(due.status().message()));
          }
          done(std::move(due));
        };
      });
  if (!submitted) {
    done(absl::ResourceExhaustedError("the last scan is still under way"));
  }
}

}  // namespace raftkv::kv
