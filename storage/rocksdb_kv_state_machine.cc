#include "storage/rocksdb_kv_state_machine.h"

#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "glog/logging.h"
#include "raft/runtime/command_batch.h"
#include "rocksdb/convenience.h"
#include "storage/disk_failure.h"
#include "storage/ordered_inserts.h"
#include "storage/rocksdb_history.h"
#include "storage/rocksdb_kv_view.h"
#include "storage/rocksdb_snapshot_reader.h"
#include "storage/rocksdb_snapshot_writer.h"

namespace raftkv::storage {
namespace {

// One write of a run: large enough to spread its fixed cost, small enough for a turn of the loop.
constexpr uint64_t kRunBytesMax = 4 << 20;
constexpr uint64_t kRunCommandsMax = 4096;
// Keys that a run looks at, deleted ones included: a range may hold many.
constexpr uint64_t kRunKeysMax = 2048;

// What another observer wanted of these entries at one moment. It never wants more of them later,
// because a proposal is known before it can be committed.
class WantedOutcomes final : public raft::OutcomeObserver {
 public:
  WantedOutcomes(absl::Span<const raft::Entry> entries, const raft::OutcomeObserver& observer) {
    for (const raft::Entry& entry : entries) {
      raft::CommandBatchReader reader(raft::CommandsOf(entry));
      while (reader.Next()) {
        if (observer.Wants(reader.origin(), reader.sequence())) {
          wanted_.emplace(reader.origin(), reader.sequence());
        }
      }
    }
  }

  bool Wants(uint64_t origin, uint64_t sequence) const override {
    return wanted_.contains({origin, sequence});
  }
  void OnOutcome(uint64_t /*origin*/, uint64_t /*sequence*/, std::string /*outcome*/) override {
    LOG(FATAL) << "outcomes are told on the loop";
  }

 private:
  absl::flat_hash_set<std::pair<uint64_t, uint64_t>> wanted_;
};

}  // namespace

RocksDbKvStateMachine::RocksDbKvStateMachine(std::shared_ptr<const Generation> generation,
                                             GenerationContent content, SnapshotStaging* staging,
                                             WorkerPool* reader, Waker* waker,
                                             uint64_t header_cache_bytes,
                                             const kv::HistoryLimits& history_limits)
    : generation_(std::move(generation)),
      staging_(staging),
      reader_(reader),
      waker_(waker),
      applied_(content.applied),
      digests_(kHashesKept, applied_),
      configuration_(std::move(content.configuration)),
      member_records_(std::move(content.member_records)),
      leases_(std::move(content.leases)),
      headers_(header_cache_bytes),
      earliest_deadline_(content.earliest_deadline),
      reader_applier_(history_limits),
      applier_(history_limits) {
  generation_->history_removed = applied_.history.removed;
}

void RocksDbKvStateMachine::OnFounded(const log::v1::ClusterConfiguration& configuration) {
  CHECK(!configuration_.has_value());
  configuration_ = configuration;
}

size_t RocksDbKvStateMachine::Apply(absl::Span<const raft::Entry> run,
                                    raft::OutcomeObserver* observer) {
  if (run.empty() || reading_ || !too_new_.empty()) {
    return 0;
  }
  if (read_run_ != nullptr) {
    CHECK_LE(read_run_->entries, run.size()) << "entries were offered and taken back";
    const size_t count = Finish(read_run_.get(), observer);
    if (count > 0) {
      read_run_.reset();
    }
    return count;
  }
  TakeFindings();
  Run prepared(generation_, RunOverlay::Reads::kFromCache, applied_, dead_.proven(), &headers_,
               &leases_, oldest_places_);
  const kv::EntryFate last = Prepare(run, *observer, &applier_, &prepared);
  if (Finish(&prepared, observer) < prepared.entries) {
    return 0;
  }
  // Only now: it reads what this run left.
  if (last == kv::EntryFate::kStalled) {
    PrepareOnReader(run.subspan(prepared.entries), *observer);
  }
  return prepared.entries;
}

kv::EntryFate RocksDbKvStateMachine::Prepare(absl::Span<const raft::Entry> entries,
                                             const raft::OutcomeObserver& observer,
                                             kv::EntryApplier* applier, Run* run) {
  for (const raft::Entry& entry : entries) {
    if (run->result.commands >= kRunCommandsMax || run->overlay.keys_met() >= kRunKeysMax ||
        run->overlay.staged_bytes() >= kRunBytesMax) {
      break;
    }
    const kv::EntryFate fate = applier->Apply(entry, observer, &run->overlay, &run->result);
    if (fate != kv::EntryFate::kApplied) {
      return fate;
    }
    run->overlay.EndEntry();
    ++run->entries;
  }
  return kv::EntryFate::kApplied;
}

size_t RocksDbKvStateMachine::Finish(Run* run, raft::OutcomeObserver* observer) {
  if (run->entries > 0 && !Commit(run)) {
    return 0;
  }
  expired_keys_ += run->result.expired_keys;
  expired_leases_ += run->result.expired_leases;
  too_new_ = run->result.too_new;
  for (kv::AppliedRun::Outcome& outcome : run->result.outcomes) {
    observer->OnOutcome(outcome.origin, outcome.sequence, std::move(outcome.bytes));
  }
  return run->entries;
}

bool RocksDbKvStateMachine::Commit(Run* run) {
  batch_.Clear();
  const RunOverlay::Written written = run->overlay.WriteTo(&batch_);
  const auto put = [this](const char* key, const std::string& value) {
    const rocksdb::Status built = batch_.Put(generation_->state, key, value);
    CHECK(built.ok()) << "cannot build a write batch: " << built.ToString();
  };
  put(kAppliedKey, EncodeAppliedState(run->result.applied));
  const bool removes_history = WriteHistoryState(run->result.applied);
  if (run->result.configuration.has_value()) {
    put(kConfigurationKey, run->result.configuration->SerializeAsString());
  }

  // Unsynced: the entries themselves are durable, and the log is replayed in order.
  rocksdb::WriteOptions options;
  options.no_slowdown = true;
  std::optional<OrderedInserts> ordered;
  if (written.ordered) {
    ordered.emplace(OrderedInserts::Of::kState);
  }
  std::optional<OrderedInserts> ordered_history;
  if (!removes_history) {
    ordered_history.emplace(OrderedInserts::Of::kHistory);
  }
  const rocksdb::Status status = generation_->db->Write(options, &batch_);
  ordered.reset();
  ordered_history.reset();
  if (status.IsIncomplete()) {
    return false;
  }
  if (!status.ok()) {
    AbortOnWriteFailure("apply committed entries", status);
  }
  applied_ = run->result.applied;
  digests_.Add(run->result.digests);
  if (run->result.configuration.has_value()) {
    configuration_ = std::move(run->result.configuration);
  }
  if (removes_history) {
    GiveBackHistory();
  }
  NoteKeys(run->overlay);
  oldest_places_ = run->overlay.places();
  for (const auto& [id, lease] : run->overlay.changed_leases()) {
    lease.has_value() ? leases_.Put(*lease) : leases_.Erase(id);
  }
  if (keeps_events_) {
    for (kv::HistoryEvent& event : run->overlay.TakeEvents()) {
      new_events_.events.push_back(std::move(event));
    }
  }
  for (const log::v1::MemberRecord& record : run->overlay.member_records()) {
    member_records_[record.member_id()] = record;
  }
  if (written.earliest_deadline.value() != 0) {
    earliest_deadline_.OnApplied(applied_.id.index, written.earliest_deadline);
  }
  return true;
}

bool RocksDbKvStateMachine::WriteHistoryState(const kv::AppliedState& applied) {
  const kv::HistoryState& state = applied.history;
  const bool begins = applied_.cluster_version < kv::kHistoryCommandVersion;
  if (applied.cluster_version < kv::kHistoryCommandVersion ||
      (!begins && state == applied_.history)) {
    return false;
  }
  rocksdb::Status built = batch_.Put(generation_->state, kHistoryKey, EncodeHistoryState(state));
  CHECK(built.ok()) << "cannot build a write batch: " << built.ToString();
  const int64_t removed = applied_.history.removed;
  if (state.removed == removed) {
    return false;
  }
  // RocksDB never opens a database again after a range delete whose bounds are swapped.
  CHECK_GT(state.removed, removed) << "the history cannot come back";
  // Before the rows are: a reader must not take their absence for silence.
  generation_->history_removed = state.removed;
  built = batch_.DeleteRange(generation_->history, EncodeHistoryKey(removed + 1, ""),
                             EncodeHistoryKey(state.removed + 1, ""));
  CHECK(built.ok()) << "cannot build a write batch: " << built.ToString();
  return true;
}

void RocksDbKvStateMachine::GiveBackHistory() {
  // Best effort; the next time gives back what this one does not.
  const bool submitted = reader_->Submit(
      WorkerPool::Length::kLong, [generation = generation_, removed = applied_.history.removed] {
        // Files that go would overtake the state that says so, which is not synced yet.
        if (const rocksdb::Status synced = generation->db->SyncWAL(); !synced.ok()) {
          AbortOnWriteFailure("sync what is said of the history", synced);
        }
        const std::string key = EncodeHistoryKey(removed + 1, "");
        const rocksdb::Slice end = key;
        const rocksdb::Status status = rocksdb::DeleteFilesInRange(
            generation->db, generation->history, /*begin=*/nullptr, &end, /*include_end=*/false);
        LOG_IF(WARNING, !status.ok())
            << "cannot give back files of the history: " << status.ToString();
      });
  VLOG_IF(1, !submitted) << "the files of the history wait";
}

std::shared_ptr<const kv::HistorySource> RocksDbKvStateMachine::HistoryOnDisk() const {
  return std::make_shared<RocksDbHistory>(generation_);
}

void RocksDbKvStateMachine::KeepEvents(bool keep) {
  keeps_events_ = keep;
  new_events_ = NewEvents();
}

kv::KvStateMachine::NewEvents RocksDbKvStateMachine::TakeEvents() {
  return std::exchange(new_events_, NewEvents());
}

void RocksDbKvStateMachine::NoteKeys(const RunOverlay& overlay) {
  // First what was dead before the run.
  for (const DeadInterval& interval : overlay.found_dead()) {
    dead_.Add(interval);
  }
  overlay.VisitChanged([this](absl::string_view key, const kv::RecordHeader* header) {
    if (header != nullptr) {
      headers_.Put(key, *header);
    } else {
      headers_.Erase(key);
    }
  });
  overlay.VisitCreatedAndRemoved([this](absl::string_view key, bool created) {
    if (created) {
      dead_.OnCreated(key);
    }
    counted_.OnChange(key, created);
  });
}

void RocksDbKvStateMachine::TakeFindings() {
  for (const DeadIntervalFindings::Finding& finding : findings_->TakeAll()) {
    dead_.OnViewed(finding.interval, finding.viewed, applied_.id.index);
  }
}

void RocksDbKvStateMachine::PrepareOnReader(absl::Span<const raft::Entry> entries,
                                            const raft::OutcomeObserver& observer) {
  reading_ = true;
  auto prepare = [this, entries = std::vector<raft::Entry>(entries.begin(), entries.end()),
                  wanted = std::make_shared<WantedOutcomes>(entries, observer),
                  dead = dead_.proven(), places = oldest_places_] {
    auto run = std::make_unique<Run>(generation_, RunOverlay::Reads::kFromDisk, applied_, dead,
                                     /*known=*/nullptr, &leases_, places);
    CHECK(Prepare(entries, *wanted, &reader_applier_, run.get()) != kv::EntryFate::kStalled)
        << "reads from disk do not stall";
    read_run_ = std::move(run);
    reading_ = false;
    waker_->Wake();
  };
  CHECK(reader_->Submit(WorkerPool::Length::kShort, std::move(prepare))) << "one run at a time";
}

std::unique_ptr<raft::SnapshotReader> RocksDbKvStateMachine::TakeSnapshot() {
  return std::make_unique<RocksDbSnapshotReader>(
      generation_, raft::SnapshotPoint{.last = applied_.id, .stamp = applied_.stamp},
      ChunkVersionOf(applied_.cluster_version));
}

std::unique_ptr<raft::SnapshotWriter> RocksDbKvStateMachine::StageSnapshot(
    const raft::SnapshotPoint& point) {
  CHECK(configuration_.has_value()) << "a member that is not founded has no leader";
  return std::make_unique<RocksDbSnapshotWriter>(point, configuration_->cluster_id(), generation_,
                                                 staging_);
}

bool RocksDbKvStateMachine::Adopt(const raft::StagedSnapshot& snapshot) {
  if (reading_) {
    return false;
  }
  const auto* staged = dynamic_cast<const RocksDbStagedSnapshot*>(&snapshot);
  CHECK(staged != nullptr) << "a snapshot of another kind";
  CHECK_GE(staged->content().applied.id.index, applied_.id.index) << "the state would go back";
  // What was prepared on the old state and told nobody.
  read_run_.reset();
  staging_->DropLater(std::exchange(generation_, staged->generation()));
  applied_ = staged->content().applied;
  digests_.Restart(applied_);
  generation_->history_removed = applied_.history.removed;
  new_events_ = NewEvents{.events = {}, .has_gap = true};
  configuration_ = staged->content().configuration;
  member_records_ = staged->content().member_records;
  leases_ = staged->content().leases;
  const raft::ClusterMillis deadline = staged->content().earliest_deadline;
  earliest_deadline_ = kv::EarliestDeadline(deadline);
  if (deadline.value() != 0) {
    // Scans of the old state that are under way know nothing of it.
    earliest_deadline_.OnApplied(applied_.id.index, deadline);
  }
  headers_.Clear();
  oldest_places_.reset();
  dead_ = DeadIntervals();
  findings_ = std::make_shared<DeadIntervalFindings>();
  counted_.Forget();
  return true;
}

kv::CacheLookup RocksDbKvStateMachine::GetCached(absl::string_view key,
                                                 log::v1::StoredKeyValue* record) const {
  rocksdb::ReadOptions options;
  options.read_tier = rocksdb::kBlockCacheTier;
  rocksdb::PinnableSlice value;
  const rocksdb::Status status =
      generation_->db->Get(options, generation_->latest, ToSlice(key), &value);
  if (status.IsNotFound()) {
    return kv::CacheLookup::kAbsent;
  }
  // A failure is for the view to report.
  if (!status.ok() || !FillStoredKeyValue(key, ToView(value), /*with_value=*/true, record)) {
    return kv::CacheLookup::kNotCached;
  }
  return kv::CacheLookup::kFound;
}

std::optional<int64_t> RocksDbKvStateMachine::KnownCount(const kv::KeyInterval& interval) {
  if (interval.start.empty() && interval.end.empty()) {
    return applied_.key_count;
  }
  return counted_.Find(interval);
}

std::shared_ptr<const kv::KvView> RocksDbKvStateMachine::TakeView() {
  TakeFindings();
  return std::make_shared<RocksDbKvView>(generation_, applied_, earliest_deadline_.value(),
                                         dead_.proven(), findings_);
}

}  // namespace raftkv::storage
