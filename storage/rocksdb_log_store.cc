#include "storage/rocksdb_log_store.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "rocksdb/convenience.h"
#include "rocksdb/iterator.h"
#include "rocksdb/write_batch.h"
#include "storage/database_reader.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"
#include "storage/ordered_inserts.h"

namespace raftkv::storage {
namespace {

// Checksums that travel with each record from here into the memtable: the log is what the others
// may have to be rebuilt from.
constexpr size_t kProtectionBytesPerKey = 8;
// What an entry takes besides its value: its key, and what RocksDB adds to that.
constexpr uint64_t kRowOverheadBytes = 24;
// Of the log that a start finds.
constexpr uint64_t kMeasuredSlices = 64;

void CheckBuilt(const rocksdb::Status& status) {
  CHECK(status.ok()) << "cannot build a write batch: " << status.ToString();
}

}  // namespace

RocksDbLogStore::RocksDbLogStore(const OwnFamilies& families, raft::LogIndex start,
                                 raft::EntryId last, DurabilityFence* fence, WorkerPool* reader,
                                 Waker* waker, std::function<void(MonotonicNanos took)> on_sync)
    : families_(families),
      fence_(fence),
      reader_(reader),
      waker_(waker),
      on_sync_(std::move(on_sync)),
      first_(start.Next()),
      hard_state_(fence->recorded().hard_state),
      start_(start),
      last_(last) {
  MeasureSizes();
  log_thread_ = std::thread([this] { RunLogThread(); });
}

RocksDbLogStore::~RocksDbLogStore() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyOne();
  }
  log_thread_.join();
}

void RocksDbLogStore::Write(raft::LogWrite write) {
  MutexLock lock(&mutex_);
  // The log thread looks at the queue before it waits, so only an empty queue can have it waiting.
  if (queue_.is_empty()) {
    changed_.NotifyOne();
  }
  queue_.writes.push_back(std::move(write));
}

void RocksDbLogStore::Trim(raft::LogIndex through) {
  MutexLock lock(&mutex_);
  if (through < first_) {
    return;
  }
  first_ = through.Next();
  queue_.trim_through = through;
  changed_.NotifyOne();
}

raft::LogIndex RocksDbLogStore::FirstOfNewest(uint64_t bytes) const {
  MutexLock lock(&mutex_);
  return std::max(first_, sizes_.FirstOfNewest(bytes));
}

void RocksDbLogStore::Install(std::shared_ptr<raft::StagedSnapshot> snapshot, bool keeps_log) {
  auto staged = std::dynamic_pointer_cast<RocksDbStagedSnapshot>(std::move(snapshot));
  CHECK(staged != nullptr) << "a snapshot of another kind";
  MutexLock lock(&mutex_);
  CHECK(queue_.snapshot == nullptr && installed_ == nullptr) << "two snapshots at a time";
  queue_.snapshot = std::move(staged);
  queue_.keeps_log = keeps_log;
  changed_.NotifyOne();
}

std::shared_ptr<raft::StagedSnapshot> RocksDbLogStore::TakeInstalled() {
  MutexLock lock(&mutex_);
  return std::exchange(installed_, nullptr);
}

std::optional<raft::WriteId> RocksDbLogStore::TakeDurable() {
  MutexLock lock(&mutex_);
  return std::exchange(newly_durable_, std::nullopt);
}

void RocksDbLogStore::Load(const raft::LoadEntries& request) {
  CHECK(reader_->Submit(WorkerPool::Length::kShort, [this, request] {
    raft::LoadedEntries loaded = ReadEntries(request);
    {
      MutexLock lock(&mutex_);
      loaded_.push_back(std::move(loaded));
    }
    waker_->Wake();
  })) << "more loads than there are peers";
}

std::vector<raft::LoadedEntries> RocksDbLogStore::TakeLoaded() {
  MutexLock lock(&mutex_);
  return std::exchange(loaded_, {});
}

void RocksDbLogStore::RunLogThread() {
  Work work;
  while (TakeQueue(&work)) {
    if (!work.writes.empty()) {
      Persist(work.writes);
      {
        MutexLock lock(&mutex_);
        newly_durable_ = work.writes.back().id;
      }
      waker_->Wake();
    }
    if (work.snapshot != nullptr) {
      work.snapshot->MarkInstalled();
      InstallNow(*work.snapshot, work.keeps_log);
      {
        MutexLock lock(&mutex_);
        installed_ = std::move(work.snapshot);
      }
      waker_->Wake();
    }
    if (work.trim_through > start_) {
      TrimNow(work.trim_through);
    }
    work = Work();
    // Only now, so that nobody waits for it.
    if (fence_behind_since_.has_value() && clock_.Now() >= *fence_behind_since_ + kFenceLagMax) {
      FollowWithFence();
    }
  }
  FollowWithFence();
}

bool RocksDbLogStore::TakeQueue(Work* work) {
  MutexLock lock(&mutex_);
  while (queue_.is_empty() && !stopping_) {
    if (!fence_behind_since_.has_value()) {
      changed_.Wait(&mutex_);
      continue;
    }
    const MonotonicNanos left = *fence_behind_since_ + kFenceLagMax - clock_.Now();
    if (left <= 0) {
      return true;
    }
    changed_.WaitFor(&mutex_, left);
  }
  *work = std::exchange(queue_, Work());
  return !work->is_empty();
}

void RocksDbLogStore::Persist(const std::vector<raft::LogWrite>& writes) {
  raft::LogIndex kept = last_.index;
  for (const raft::LogWrite& write : writes) {
    if (!write.entries.empty()) {
      kept = std::min(kept, write.entries.front().id.index.Previous());
    }
  }
  LowerFence(kept);
  rocksdb::WriteBatch batch;
  std::string value;
  uint64_t appended = 0;
  for (const raft::LogWrite& write : writes) {
    if (write.hard_state.has_value()) {
      hard_state_ = *write.hard_state;
      CheckBuilt(batch.Put(families_.meta, kHardStateKey, EncodeHardState(hard_state_)));
    }
    if (write.entries.empty()) {
      continue;
    }
    appended += write.entries.size();
    const raft::LogIndex first = write.entries.front().id.index;
    CHECK_GT(first, start_) << "a write begins before the log";
    CHECK_LE(first, last_.index.Next()) << "a write leaves a gap in the log";
    raft::LogIndex expected = first;
    uint64_t bytes = 0;
    for (const raft::Entry& entry : write.entries) {
      CHECK_EQ(entry.id.index, expected) << "entries of one write do not follow each other";
      EncodeLogValue(entry, &value);
      CheckBuilt(batch.Put(families_.raft_log, EncodeLogKey(entry.id.index), value));
      bytes += kRowOverheadBytes + value.size();
      expected = expected.Next();
    }
    // What a conflicting suffix leaves behind the new end. Point deletes: the suffix is short, and
    // a range delete would slow down every later read of the memtable.
    for (raft::LogIndex stale = expected; stale <= last_.index; stale = stale.Next()) {
      CheckBuilt(batch.Delete(families_.raft_log, EncodeLogKey(stale)));
    }
    MutexLock lock(&mutex_);
    if (first <= last_.index) {
      sizes_.CutFrom(first);
    }
    sizes_.Append(first, bytes);
    last_ = write.entries.back().id;
  }
  WriteAndSync(appended, &batch);
  if (hard_state_ != fence_->recorded().hard_state) {
    FollowWithFence();
    return;
  }
  fence_->NoteProgress(hard_state_, last_);
  if (appended > 0 && !fence_behind_since_.has_value()) {
    fence_behind_since_ = clock_.Now();
  }
}

void RocksDbLogStore::WriteAndSync(uint64_t entries, rocksdb::WriteBatch* batch) {
  const MonotonicNanos begun_at = clock_.Now();
  {
    const OrderedInserts ordered(OrderedInserts::Of::kLog);
    WriteUnsynced("write the Raft log", batch);
  }
  const MonotonicNanos write_took = clock_.Now() - begun_at;
  const MonotonicNanos sync_took = SyncWal();
  MutexLock lock(&mutex_);
  counts_.write_nanos.Observe(write_took);
  counts_.sync_nanos.Observe(sync_took);
  counts_.sync_entries.Observe(static_cast<int64_t>(entries));
  counts_.bytes += batch->GetDataSize();
}

LogDiskCounts RocksDbLogStore::counts() const {
  MutexLock lock(&mutex_);
  return counts_;
}

void RocksDbLogStore::WriteUnsynced(const char* what, rocksdb::WriteBatch* batch) {
  // Not sync=true: that would hold RocksDB's write lead during the fdatasync, and apply would queue
  // behind it.
  rocksdb::WriteOptions options;
  options.protection_bytes_per_key = kProtectionBytesPerKey;
  if (const rocksdb::Status status = families_.db->Write(options, batch); !status.ok()) {
    AbortOnWriteFailure(what, status);
  }
}

MonotonicNanos RocksDbLogStore::SyncWal() {
  const MonotonicNanos began = clock_.Now();
  if (const rocksdb::Status status = families_.db->SyncWAL(); !status.ok()) {
    AbortOnWriteFailure("sync the Raft log", status);
  }
  const MonotonicNanos took = clock_.Now() - began;
  if (on_sync_ != nullptr) {
    on_sync_(took);
  }
  return took;
}

void RocksDbLogStore::AddTrim(raft::LogIndex through, const LogEdge& start,
                              rocksdb::WriteBatch* batch) {
  // RocksDB never opens a database again after a range delete whose bounds are swapped, and grows
  // slow when many begin at the same place.
  CHECK_GE(through, start_);
  if (through > start_) {
    CheckBuilt(batch->DeleteRange(families_.raft_log, EncodeLogKey(start_.Next()),
                                  EncodeLogKey(through.Next())));
  }
  CheckBuilt(batch->Put(families_.meta, kLogStartKey, EncodeLogEdge(start)));
}

void RocksDbLogStore::InstallNow(const RocksDbStagedSnapshot& snapshot, bool keeps_log) {
  const raft::SnapshotPoint& point = snapshot.meta().point;
  CHECK_GE(hard_state_.term, point.last.term) << "a snapshot of a later term";
  rocksdb::WriteBatch batch;
  CheckBuilt(
      batch.Put(families_.meta, kGenerationKey, EncodeNumber(snapshot.generation()->number)));
  if (keeps_log) {
    CHECK(point.last.index >= start_ && point.last.index <= last_.index)
        << "the log does not hold the snapshot's last entry";
  } else {
    CHECK_GT(point.last.index, start_) << "the log begins after the snapshot";
    LowerFence(std::min(last_.index, point.last.index.Previous()));
    AddTrim(last_.index, {.id = point.last, .stamp = point.stamp}, &batch);
  }
  WriteUnsynced("install a snapshot", &batch);
  SyncWal();
  if (keeps_log) {
    return;
  }
  start_ = point.last.index;
  last_ = point.last;
  {
    MutexLock lock(&mutex_);
    first_ = std::max(first_, start_.Next());
    sizes_ = LogSizes();
  }
  FollowWithFence();
  GiveBackFiles();
}

void RocksDbLogStore::TrimNow(raft::LogIndex through) {
  CHECK_LE(through, last_.index) << "a trim beyond the log";
  // The state that holds what the entries did was written before, to the same write-ahead log:
  // whatever a crash leaves of that is a prefix (ADR 4), so it never holds this and not the state.
  // A flush of `raft_log` does not overtake the state either: RocksDB syncs the write-ahead logs
  // that it has closed before it counts a table as made, as there are several families.
  rocksdb::WriteBatch batch;
  AddTrim(through, ReadEdge(through), &batch);
  WriteUnsynced("trim the Raft log", &batch);
  start_ = through;
  {
    MutexLock lock(&mutex_);
    sizes_.TrimTo(start_.Next());
  }
  // But files that go would overtake both.
  SyncWal();
  GiveBackFiles();
}

void RocksDbLogStore::GiveBackFiles() {
  // Best effort, and off the log thread: it writes to the MANIFEST.
  const bool submitted = reader_->Submit(WorkerPool::Length::kLong, [this, start = start_] {
    const std::string key = EncodeLogKey(start);
    const rocksdb::Slice end = key;
    const rocksdb::Status status = rocksdb::DeleteFilesInRange(
        families_.db, families_.raft_log, /*begin=*/nullptr, &end, /*include_end=*/true);
    LOG_IF(WARNING, !status.ok()) << "cannot give back files of the log: " << status.ToString();
  });
  VLOG_IF(1, !submitted) << "the next trim gives back the log's files";
}

void RocksDbLogStore::LowerFence(raft::LogIndex kept) {
  const FenceRecord recorded = fence_->recorded();
  if (kept < recorded.durable.index) {
    fence_->RecordProgress(recorded.hard_state, {.term = ReadTerm(kept), .index = kept});
  }
}

void RocksDbLogStore::FollowWithFence() {
  fence_->RecordProgress(hard_state_, last_);
  fence_behind_since_.reset();
}

LogEdge RocksDbLogStore::ReadEdge(raft::LogIndex index) const {
  std::string value;
  const rocksdb::Status status =
      families_.db->Get(rocksdb::ReadOptions(), families_.raft_log, EncodeLogKey(index), &value);
  if (!status.ok()) {
    ExitOnCorruption("`raft_log`", absl::StrCat("entry ", index.value(), ": ", status.ToString()));
  }
  const std::optional<raft::Entry> entry = DecodeLogValue(index, value);
  if (!entry.has_value()) {
    ExitOnCorruption("`raft_log`", "an entry makes no sense");
  }
  return {.id = entry->id, .stamp = entry->stamp};
}

void RocksDbLogStore::MeasureSizes() {
  const uint64_t entries = last_.index.value() - start_.value();
  const uint64_t slices = std::min(entries, kMeasuredSlices);
  std::vector<std::string> bounds;
  for (uint64_t i = 0; i <= slices; ++i) {
    // Not entries * i, which may be too large.
    const uint64_t before = slices == 0 ? 0 : entries / slices * i + entries % slices * i / slices;
    bounds.push_back(EncodeLogKey(raft::LogIndex(start_.value() + 1 + before)));
  }
  std::vector<rocksdb::Range> ranges;
  for (uint64_t i = 0; i < slices; ++i) {
    ranges.emplace_back(bounds[i], bounds[i + 1]);
  }
  std::vector<uint64_t> bytes(ranges.size());
  rocksdb::SizeApproximationOptions options;
  options.include_memtables = true;
  options.include_files = true;
  const rocksdb::Status status = families_.db->GetApproximateSizes(
      options, families_.raft_log, ranges.data(), static_cast<int>(ranges.size()), bytes.data());
  LOG_IF(WARNING, !status.ok()) << "cannot tell how large the log is: " << status.ToString();
  MutexLock lock(&mutex_);
  for (uint64_t i = 0; status.ok() && i < slices; ++i) {
    sizes_.Append(*DecodeLogKey(bounds[i]), bytes[i]);
  }
}

raft::Term RocksDbLogStore::ReadTerm(raft::LogIndex index) const {
  const absl::StatusOr<std::optional<raft::Term>> term = DatabaseReader(families_).ReadTerm(index);
  if (!term.ok()) {
    ExitOnCorruption("`raft_log`", term.status().message());
  }
  if (!term->has_value()) {
    ExitOnCorruption("`raft_log`", absl::StrCat("entry ", index.value(), " is missing"));
  }
  return **term;
}

raft::LoadedEntries RocksDbLogStore::ReadEntries(const raft::LoadEntries& request) const {
  CHECK_GE(request.first.value(), 1u);
  raft::LoadedEntries loaded{.peer = request.peer, .previous = {}, .entries = {}, .trimmed = false};
  const std::unique_ptr<rocksdb::Iterator> iterator(
      families_.db->NewIterator(rocksdb::ReadOptions(), families_.raft_log));
  // After the iterator: what is trimmed meanwhile is said to be, and not missed.
  const absl::StatusOr<LogEdge> start = DatabaseReader(families_).ReadLogStart();
  if (!start.ok()) {
    ExitOnCorruption("`meta`", start.status().message());
  }
  if (request.first <= start->id.index) {
    loaded.trimmed = true;
    return loaded;
  }
  loaded.previous = start->id;
  // One early, for the previous entry's term.
  raft::LogIndex expected = request.first.Previous();
  uint64_t bytes = 0;
  if (expected == start->id.index) {
    expected = expected.Next();
  }
  for (iterator->Seek(EncodeLogKey(expected)); iterator->Valid(); iterator->Next()) {
    const std::optional<raft::LogIndex> index = DecodeLogKey(ToView(iterator->key()));
    // A suffix that was cut after the core asked leaves nothing to load.
    if (!index.has_value() || *index != expected) {
      break;
    }
    std::optional<raft::Entry> entry = DecodeLogValue(*index, ToView(iterator->value()));
    if (!entry.has_value()) {
      ExitOnCorruption("`raft_log`", "an entry makes no sense");
    }
    expected = expected.Next();
    if (*index < request.first) {
      loaded.previous = entry->id;
      continue;
    }
    bytes += entry->size_bytes();
    if (bytes > request.bytes_max && !loaded.entries.empty()) {
      break;
    }
    loaded.entries.push_back(*std::move(entry));
  }
  if (!iterator->status().ok()) {
    ExitOnCorruption("`raft_log`", iterator->status().ToString());
  }
  return loaded;
}

}  // namespace raftkv::storage
