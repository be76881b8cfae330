// RaftDriver's part in snapshots (raft/runtime/snapshot.h), and in trimming the log before them.
#include <glog/logging.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "raft/core/describe.h"
#include "raft/runtime/log_trimmer.h"
#include "raft/runtime/raft_driver.h"

namespace raftkv::raft {
namespace {

// How often it is looked whether the log had better be trimmed, however quiet it is.
constexpr MonotonicNanos kTrimInterval = kNanosPerSecond;
// Which part of log_bytes_max the log may take while the disk is nearly full. A member that is away
// may need a snapshot for that, which is better than that this one stops.
constexpr uint64_t kLowOnDiskLogPart = 4;

}  // namespace

void RaftDriver::OnSnapshotSent(NodeId peer, const absl::Status& status) {
  if (transfers_.OnEnded(peer, status.ok(), core_->last_entry().index, clock_->Now())) {
    observer_->OnSnapshotSent(peer, status);
    core_->OnSnapshotEnded(peer);
  }
}

absl::Status RaftDriver::CheckSnapshot(NodeId leader, Term term, const SnapshotPoint& point) const {
  const NodeId known = core_->View().leader_of_term;
  if (term == core_->term() && known != kNobody && known != leader) {
    return absl::FailedPreconditionError(
        absl::StrCat("node ", known.value(), " leads term ", term.value()));
  }
  return CheckSnapshotUse(term, point);
}

absl::Status RaftDriver::CheckSnapshotUse(Term term, const SnapshotPoint& point) const {
  if (shut_down_) {
    return absl::UnavailableError("this node is stopping");
  }
  if (point.last.index == LogIndex(0) || point.last.index.value() > kNumberMax ||
      point.last.term == Term(0) || point.last.term > term) {
    return absl::InvalidArgumentError(
        absl::StrCat("no ", Describe(point), " can be of a leader of term ", term.value()));
  }
  if (term != core_->term()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "this node is in term ", core_->term().value(), ", the snapshot is of ", term.value()));
  }
  if (install_.has_value()) {
    return absl::ResourceExhaustedError("a snapshot is being installed");
  }
  if (core_->UseOf(point, term) != RaftCore::SnapshotUse::kNone) {
    return absl::OkStatus();
  }
  return point.last.index <= core_->commit_index()
             ? absl::AlreadyExistsError(
                   absl::StrCat("this node has committed up to ", core_->commit_index().value()))
             : absl::FailedPreconditionError(
                   "this node led the term, or what it holds contradicts the snapshot");
}

void RaftDriver::InstallSnapshot(Term term, std::shared_ptr<StagedSnapshot> snapshot,
                                 InstallCallback done) {
  CHECK(done != nullptr);
  absl::Status status = CheckSnapshotUse(term, snapshot->meta().point);
  if (snapshot->meta().configuration.voters.empty()) {
    status.Update(absl::InvalidArgumentError("nobody votes as of the snapshot"));
  }
  if (!status.ok()) {
    done(status);
    return;
  }
  install_ = Install{.term = term, .snapshot = std::move(snapshot), .done = std::move(done)};
}

void RaftDriver::BeginSnapshots() {
  if (transfers_.empty() || shut_down_) {
    return;
  }
  const auto is_follower = [this](NodeId peer) { return core_->progress(peer) != nullptr; };
  // Whoever came so far by itself meanwhile asks again when it lacks something again.
  const auto needs_one = [this](NodeId peer) {
    return core_->progress(peer)->state() == FollowerProgress::State::kSnapshot;
  };
  for (const NodeId left : transfers_.KeepOnly(is_follower, needs_one)) {
    transport_->StopSnapshot(left);
  }
  const MonotonicNanos now = clock_->Now();
  const auto is_heard = [this](NodeId peer) { return core_->progress(peer)->is_heard(); };
  const auto is_lost = [this](NodeId peer) { return core_->progress(peer)->is_lost(); };
  while (const std::optional<NodeId> lost = transfers_.MakeRoom(now, is_heard, is_lost)) {
    transport_->StopSnapshot(*lost);
    core_->OnSnapshotEnded(*lost);
  }
  while (const std::optional<NodeId> peer = transfers_.TakeNext(now, is_heard)) {
    std::unique_ptr<SnapshotReader> snapshot = state_machine_->TakeSnapshot();
    transfers_.OnBegun(*peer, snapshot->point().last.index);
    transport_->SendSnapshot(*peer, core_->term(), std::move(snapshot));
  }
}

void RaftDriver::StopSnapshots() {
  for (const NodeId peer : transfers_.Clear()) {
    transport_->StopSnapshot(peer);
  }
}

void RaftDriver::MaybeTrimLog() {
  if (clock_->Now() < next_trim_ || core_->is_installing()) {
    return;
  }
  next_trim_ = clock_->Now() + kTrimInterval;
  const auto match_index = [this](NodeId peer) {
    const FollowerProgress* progress = core_->progress(peer);
    return progress == nullptr ? core_->last_entry().index : progress->match_index();
  };
  const uint64_t part = disk_reports_.own() ? kLowOnDiskLogPart : 1;
  const LogIndex through =
      LogTrimThrough({.entries_kept = options_.log_entries_kept,
                      .bytes_max = std::max<uint64_t>(1, options_.log_bytes_max / part)},
                     {.applied = core_->applied_index(),
                      .durable = core_->durable_index(),
                      .held_by_all = core_->held_by_all(),
                      .needed_after = transfers_.NeededAfter(match_index)},
                     [this](uint64_t bytes) { return log_store_->FirstOfNewest(bytes); });
  if (through == LogIndex(0)) {
    return;
  }
  for (const NodeId peer : transfers_.OnTrimmed(through)) {
    transport_->StopSnapshot(peer);
    core_->OnSnapshotEnded(peer);
    observer_->OnSnapshotOutrun(peer, through);
  }
  observer_->OnLogTrimmed(through, core_->held_by_all());
  log_store_->Trim(through);
}

void RaftDriver::BeginInstall() {
  if (!MayBeginInstall()) {
    return;
  }
  // What the core took before goes to the log store before the snapshot.
  CarryOutOutput();
  const RaftCore::SnapshotUse use =
      core_->BeginInstall(install_->snapshot->meta().point, install_->term);
  if (use == RaftCore::SnapshotUse::kNone) {
    const Install refused = *std::exchange(install_, std::nullopt);
    refused.done(CheckSnapshotUse(refused.term, refused.snapshot->meta().point));
    return;
  }
  log_store_->Install(install_->snapshot, use == RaftCore::SnapshotUse::kKeepsLog);
}

void RaftDriver::FinishInstall() {
  if (!install_.has_value() || !install_->is_written ||
      !state_machine_->Adopt(*install_->snapshot)) {
    return;
  }
  const SnapshotMeta& meta = install_->snapshot->meta();
  const EntryId last = meta.point.last;
  CHECK(state_machine_->applied() == last) << "index " << last.index;
  apply_queue_.DropThrough(last.index);
  core_->OnInstalled(meta);
  cluster_clock_.FollowLog({.term = core_->last_entry().term, .time = core_->last_stamp()});
  applied_term_ = last.term;
  // Not ReturnBefore: what was bound may be in the snapshot.
  proposals_.OnOutcomesSkipped(applied_term_);
  log_full_ = false;
  // It was another state's.
  answered_ = Answered();
  EndInstall(absl::OkStatus());
}

void RaftDriver::RefuseInstall(const absl::Status& status) {
  if (!install_.has_value()) {
    return;
  }
  const InstallCallback done = std::exchange(install_->done, [](const absl::Status&) {});
  // What the log store writes comes to its end.
  if (!core_->is_installing()) {
    install_.reset();
  }
  done(status);
}

void RaftDriver::EndInstall(const absl::Status& status) {
  // `done` may offer the next one.
  const Install ended = *std::exchange(install_, std::nullopt);
  ended.done(status);
}

}  // namespace raftkv::raft
