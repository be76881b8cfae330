#include "storage/recovery.h"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "base/waker.h"
#include "kv/command_semantics.h"
#include "rocksdb/env.h"
#include "rocksdb/iterator.h"
#include "storage/data_directory.h"
#include "storage/database_opening.h"
#include "storage/disk_failure.h"
#include "storage/file_io.h"
#include "storage/generation.h"
#include "storage/rocksdb_options.h"

namespace raftkv::storage {
namespace {

// Thread-safe.
class AwaitedWaker final : public Waker {
 public:
  void Wake() override {
    MutexLock lock(&mutex_);
    woken_ = true;
    changed_.NotifyOne();
  }
  void Await() {
    MutexLock lock(&mutex_);
    while (!woken_) {
      changed_.Wait(&mutex_);
    }
    woken_ = false;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool woken_ ABSL_GUARDED_BY(mutex_) = false;
};

class NobodyListens final : public raft::OutcomeObserver {
 public:
  bool Wants(uint64_t /*origin*/, uint64_t /*sequence*/) const override { return false; }
  void OnOutcome(uint64_t /*origin*/, uint64_t /*sequence*/, std::string /*outcome*/) override {}
};

absl::StatusOr<uint64_t> CountRows(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family) {
  rocksdb::ReadOptions options;
  options.fill_cache = false;
  const std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator(options, family));
  uint64_t rows = 0;
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    ++rows;
  }
  if (!iterator->status().ok()) {
    return ReadFailure(NameOf(family), iterator->status());
  }
  return rows;
}

// Fills in what the database says. A failure is of all of it.
absl::Status ReadDatabase(const StorageOptions& options, const std::string& path,
                          DirectoryReport* report) {
  const DatabaseMemory memory(options);
  rocksdb::DBOptions db_options = MakeDbOptions(options, memory, /*wal_filter=*/nullptr);
  db_options.max_file_opening_threads = 1;
  // They end the process where a file is damaged.
  db_options.listeners.clear();
  RAFTKV_ASSIGN_OR_RETURN(const auto descriptors,
                          FindColumnFamilies(options, memory, db_options, path));
  FamilyHandles handles;
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(db_options, path, descriptors, &handles, &raw);
  if (!status.ok()) {
    return OpenFailure(path, status);
  }
  std::unique_ptr<rocksdb::DB> db(raw);
  const absl::Cleanup close = [&] { CloseDatabase(&db, &handles); };
  RAFTKV_ASSIGN_OR_RETURN(const OwnFamilies families, FindOwnFamilies(raw, handles));
  const DatabaseReader reader(families);
  report->identity = reader.ReadIdentity();
  report->hard_state = reader.ReadHardState();
  report->log_start = reader.ReadLogStart();
  report->log_end = reader.ReadLogEnd();
  report->clock = reader.ReadSavedClusterClock();
  report->restored = reader.ReadRestoreRecord();
  RAFTKV_ASSIGN_OR_RETURN(const uint64_t number, reader.ReadGeneration());
  const absl::StatusOr<std::shared_ptr<const Generation>> generation =
      Generation::Take(raw, number, &handles);
  if (!generation.ok()) {
    report->content = generation.status();
    report->deadlines = generation.status();
    return absl::OkStatus();
  }
  report->content = GenerationReader(**generation).Read();
  report->deadlines = CountRows(raw, (*generation)->ttl);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<DirectoryReport> InspectDirectory(const StorageOptions& options) {
  const std::string path(absl::StripSuffix(options.data_dir, "/"));
  rocksdb::FileSystem* const files = EnvOf(options)->GetFileSystem().get();
  const std::string database = absl::StrCat(path, "/db");
  std::error_code error;
  if (!std::filesystem::is_directory(database, error)) {
    return absl::NotFoundError(absl::StrCat(path, " is no data directory: there is no ", database));
  }
  const absl::Status unread = absl::UnknownError("the database cannot be read");
  DirectoryReport report{.used_by = DataDirectory::UserOf(path),
                         .format = ReadSmallFile(files, absl::StrCat(path, "/", kFormatFile)),
                         .differs = "",
                         .fence = unread,
                         .identity = unread,
                         .hard_state = unread,
                         .log_start = unread,
                         .log_end = unread,
                         .clock = unread,
                         .restored = unread,
                         .content = unread,
                         .deadlines = unread};
  const std::string differs = absl::StrCat(path, "/", kDiffersFile);
  if (std::filesystem::exists(differs, error)) {
    report.differs = ReadSmallFile(files, differs).value_or("it cannot be read");
  }
  const auto fence =
      DurabilityFence::Open(EnvOf(options)->GetFileSystem(), absl::StrCat(path, "/", kFenceFile));
  report.fence = fence.ok() ? absl::StatusOr<FenceRecord>((*fence)->recorded()) : fence.status();
  if (const absl::Status read = ReadDatabase(options, database, &report); !read.ok()) {
    report.identity = report.identity.ok() ? report.identity : read;
    report.content = read;
    report.deadlines = read;
  }
  return report;
}

absl::Status RecoverAlone(const StorageOptions& options) {
  AwaitedWaker waker;
  RAFTKV_ASSIGN_OR_RETURN(std::unique_ptr<Storage> storage, Storage::Open(options, &waker));
  if (!storage->configuration().has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.data_dir, " belongs to no cluster yet: start it as it is"));
  }
  kv::KvStateMachine& machine = *storage->state_machine();
  RAFTKV_RETURN_IF_ERROR(kv::CheckClusterVersion(machine.cluster_version()));
  RAFTKV_ASSIGN_OR_RETURN(const raft::RestoredState restored, storage->Restore());
  absl::Span<const raft::Entry> left = restored.tail;
  while (!left.empty() && left.front().id.index <= machine.applied().index) {
    left.remove_prefix(1);
  }
  NobodyListens observer;
  while (!left.empty()) {
    const size_t applied = machine.Apply(left, &observer);
    left.remove_prefix(applied);
    if (!machine.too_new().empty()) {
      return absl::FailedPreconditionError(
          absl::StrCat(options.data_dir, ": an entry of the log says ", machine.too_new()));
    }
    if (applied == 0) {
      waker.Await();
    }
  }
  RAFTKV_RETURN_IF_ERROR(storage->FoundAnew());
  storage.reset();
  // Makes the fence, and proves what is there.
  return Storage::Open(options, &waker).status();
}

}  // namespace raftkv::storage
