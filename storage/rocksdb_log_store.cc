#include "storage/rocksdb_log_store.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "glog/logging.h"
#include "rocksdb/iterator.h"
#include "rocksdb/write_batch.h"
#include "storage/database_reader.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"

namespace raftkv::storage {
namespace {

// Checksums that travel with each record from here into the memtable: the log is what the others
// may have to be rebuilt from.
constexpr size_t kProtectionBytesPerKey = 8;

void CheckBuilt(const rocksdb::Status& status) {
  CHECK(status.ok()) << "cannot build a write batch: " << status.ToString();
}

}  // namespace

RocksDbLogStore::RocksDbLogStore(const OwnFamilies& families, raft::EntryId last,
                                 DurabilityFence* fence, WorkerPool* reader, Waker* waker)
    : families_(families),
      fence_(fence),
      reader_(reader),
      waker_(waker),
      hard_state_(fence->recorded().hard_state),
      last_(last),
      log_thread_([this] { RunLogThread(); }) {}

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
  queue_.push_back(std::move(write));
  // The log thread looks at the queue before it waits, so only an empty queue can have it waiting.
  if (queue_.size() == 1) {
    changed_.NotifyOne();
  }
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
  std::vector<raft::LogWrite> writes;
  while (TakeQueue(&writes)) {
    if (!writes.empty()) {
      Persist(writes);
      {
        MutexLock lock(&mutex_);
        newly_durable_ = writes.back().id;
      }
      waker_->Wake();
      writes.clear();
    }
    // Only now, so that nobody waits for it.
    if (fence_behind_since_.has_value() && clock_.Now() >= *fence_behind_since_ + kFenceLagMax) {
      FollowWithFence();
    }
  }
  FollowWithFence();
}

bool RocksDbLogStore::TakeQueue(std::vector<raft::LogWrite>* writes) {
  MutexLock lock(&mutex_);
  while (queue_.empty() && !stopping_) {
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
  writes->swap(queue_);
  return !writes->empty();
}

void RocksDbLogStore::Persist(const std::vector<raft::LogWrite>& writes) {
  LowerFence(writes);
  rocksdb::WriteBatch batch;
  std::string value;
  bool appended = false;
  for (const raft::LogWrite& write : writes) {
    if (write.hard_state.has_value()) {
      hard_state_ = *write.hard_state;
      CheckBuilt(batch.Put(families_.meta, kHardStateKey, EncodeHardState(hard_state_)));
    }
    if (write.entries.empty()) {
      continue;
    }
    appended = true;
    const raft::LogIndex first = write.entries.front().id.index;
    CHECK_GE(first.value(), 1u);
    CHECK_LE(first, last_.index.Next()) << "a write leaves a gap in the log";
    raft::LogIndex expected = first;
    for (const raft::Entry& entry : write.entries) {
      CHECK_EQ(entry.id.index, expected) << "entries of one write do not follow each other";
      EncodeLogValue(entry, &value);
      CheckBuilt(batch.Put(families_.raft_log, EncodeLogKey(entry.id.index), value));
      expected = expected.Next();
    }
    // What a conflicting suffix leaves behind the new end. Point deletes: the suffix is short, and
    // a range delete would slow down every later read of the memtable.
    for (raft::LogIndex stale = expected; stale <= last_.index; stale = stale.Next()) {
      CheckBuilt(batch.Delete(families_.raft_log, EncodeLogKey(stale)));
    }
    last_ = write.entries.back().id;
  }

  // Not sync=true: that would hold RocksDB's write lead during the fdatasync, and apply would queue
  // behind it.
  rocksdb::WriteOptions options;
  options.protection_bytes_per_key = kProtectionBytesPerKey;
  if (const rocksdb::Status status = families_.db->Write(options, &batch); !status.ok()) {
    AbortOnWriteFailure("write the Raft log", status);
  }
  if (const rocksdb::Status status = families_.db->SyncWAL(); !status.ok()) {
    AbortOnWriteFailure("sync the Raft log", status);
  }
  if (hard_state_ != fence_->recorded().hard_state) {
    FollowWithFence();
    return;
  }
  fence_->NoteProgress(hard_state_, last_);
  if (appended && !fence_behind_since_.has_value()) {
    fence_behind_since_ = clock_.Now();
  }
}

void RocksDbLogStore::LowerFence(const std::vector<raft::LogWrite>& writes) {
  const FenceRecord recorded = fence_->recorded();
  raft::LogIndex kept = recorded.durable.index;
  for (const raft::LogWrite& write : writes) {
    if (!write.entries.empty()) {
      kept = std::min(kept, write.entries.front().id.index.Previous());
    }
  }
  if (kept < recorded.durable.index) {
    fence_->RecordProgress(recorded.hard_state, {.term = ReadTerm(kept), .index = kept});
  }
}

void RocksDbLogStore::FollowWithFence() {
  fence_->RecordProgress(hard_state_, last_);
  fence_behind_since_.reset();
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
  for (iterator->Seek(EncodeLogKey(expected)); iterator->Valid(); iterator->Next()) {
    const std::optional<raft::LogIndex> index = DecodeLogKey(ToView(iterator->key()));
    if (expected == start->id.index) {
      expected = expected.Next();
    }
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
