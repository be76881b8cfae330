#include "tests/storage/store_fixture.h"

#include <algorithm>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "base/stable_hash.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "gtest/gtest.h"
#include "raft/runtime/command_batch.h"
#include "rocksdb/db.h"
#include "storage/data_directory.h"
#include "storage/durability_fence.h"
#include "storage/key_layout.h"
#include "storage/rocksdb_options.h"
#include "storage/wal_gap_filter.h"

namespace raftkv::storage {
namespace {

constexpr uint64_t kOrigin = 7;

// An open database without the storage above it.
class RawDatabase {
 public:
  explicit RawDatabase(const std::string& path) : path_(path) {
    const StorageOptions options;
    const DatabaseMemory memory(options);
    const rocksdb::DBOptions db_options = MakeDbOptions(options, memory, nullptr);
    std::vector<std::string> names;
    rocksdb::Status status = rocksdb::DB::ListColumnFamilies(db_options, path, &names);
    CHECK(status.ok()) << status.ToString();
    status = rocksdb::DB::Open(db_options, path, MakeColumnFamilies(options, memory, names),
                               &handles_, &db_);
    CHECK(status.ok()) << status.ToString();
  }
  ~RawDatabase() {
    std::unique_ptr<rocksdb::LogFile> wal;
    CHECK(db_->GetCurrentWalFile(&wal).ok());
    for (rocksdb::ColumnFamilyHandle* handle : handles_) {
      CHECK(db_->DestroyColumnFamilyHandle(handle).ok());
    }
    delete db_;
    FenceOpening(wal->LogNumber());
  }

  rocksdb::DB* db() { return db_; }
  const std::vector<rocksdb::ColumnFamilyHandle*>& handles() const { return handles_; }

 private:
  // The opening made a new MANIFEST and a new WAL behind the fence's back.
  void FenceOpening(uint64_t first_wal) const {
    const std::filesystem::path fence_path =
        std::filesystem::path(path_).parent_path() / kFenceFile;
    if (!std::filesystem::exists(fence_path)) {
      return;
    }
    const std::string current = integration::ReadFile(path_ + "/CURRENT");
    const std::string name = current.substr(0, current.size() - 1);
    const std::string bytes = integration::ReadFile(path_ + "/" + name);
    const auto files = rocksdb::Env::Default()->GetFileSystem();
    auto fence = DurabilityFence::Open(files, fence_path.string());
    CHECK(fence.ok()) << fence.status();
    FenceRecord record = (*fence)->recorded();
    record.first_wal = first_wal;
    const ManifestRecord manifest{.current = {.number = std::stoul(name.substr(name.find('-') + 1)),
                                              .bytes = bytes.size(),
                                              .hash = StableHash(bytes)},
                                  .before = {}};
    CHECK(DurabilityFence::Create(files, fence_path.string(), record, manifest).ok());
  }

  const std::string path_;
  rocksdb::DB* db_ = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

}  // namespace

void CountingWaker::Wake() {
  MutexLock lock(&mutex_);
  ++count_;
  woken_.NotifyAll();
}

int CountingWaker::AwaitMoreThan(int count) {
  MutexLock lock(&mutex_);
  while (count_ <= count) {
    woken_.Wait(&mutex_);
  }
  return count_;
}

int CountingWaker::count() {
  MutexLock lock(&mutex_);
  return count_;
}

bool RecordingObserver::Wants(uint64_t origin, uint64_t) const { return origin != unwanted_origin; }

void RecordingObserver::OnOutcome(uint64_t origin, uint64_t sequence, std::string outcome) {
  ids.emplace_back(origin, sequence);
  EXPECT_TRUE(outcomes.emplace_back().ParseFromString(outcome));
}

log::v1::Guard Exists(const std::string& key, bool exists) {
  log::v1::Guard guard;
  guard.set_key(key);
  guard.set_exists(exists);
  return guard;
}

log::v1::Command Txn(std::vector<log::v1::Guard> guards,
                     std::vector<log::v1::Operation> operations) {
  log::v1::Command command;
  log::v1::Txn* txn = command.mutable_txn();
  for (log::v1::Guard& guard : guards) {
    *txn->add_guards() = std::move(guard);
  }
  for (log::v1::Operation& operation : operations) {
    *txn->add_operations() = std::move(operation);
  }
  return command;
}

log::v1::Operation PutOp(const std::string& key, const std::string& value) {
  log::v1::Operation operation;
  operation.mutable_put()->set_key(key);
  operation.mutable_put()->set_value(value);
  return operation;
}

log::v1::Operation PutTtlOp(const std::string& key, const std::string& value, uint64_t ttl_ms) {
  log::v1::Operation operation = PutOp(key, value);
  operation.mutable_put()->set_ttl_ms(ttl_ms);
  return operation;
}

log::v1::Operation KeepTtlOp(const std::string& key, const std::string& value) {
  log::v1::Operation operation = PutOp(key, value);
  operation.mutable_put()->set_keep_ttl(true);
  return operation;
}

log::v1::Operation DeleteOp(const std::string& key) {
  return DeleteRangeOp(key, key + std::string(1, '\0'));
}

log::v1::Operation DeleteRangeOp(const std::string& start, const std::string& end) {
  log::v1::Operation operation;
  operation.mutable_delete_()->set_start_key(start);
  operation.mutable_delete_()->set_end_key(end);
  return operation;
}

log::v1::Command Put(const std::string& key, const std::string& value) {
  return Txn({}, {PutOp(key, value)});
}

log::v1::Command PutTtl(const std::string& key, const std::string& value, uint64_t ttl_ms) {
  return Txn({}, {PutTtlOp(key, value, ttl_ms)});
}

log::v1::Command Delete(const std::string& key) { return Txn({}, {DeleteOp(key)}); }

log::v1::Command Expire(uint64_t start_deadline_ms, const std::string& start_key,
                        uint64_t keys_max) {
  log::v1::Command command;
  command.mutable_expire()->set_start_deadline_ms(start_deadline_ms);
  command.mutable_expire()->set_start_key(start_key);
  command.mutable_expire()->set_keys_max(keys_max);
  return command;
}

log::v1::Command RaiseVersion(uint32_t version) {
  log::v1::Command command;
  command.mutable_raise_cluster_version()->set_version(version);
  return command;
}

raft::Entry CommandEntry(uint64_t index, const std::vector<log::v1::Command>& commands,
                         uint64_t stamp, uint64_t term) {
  std::string payload;
  uint64_t sequence = 0;
  for (const log::v1::Command& command : commands) {
    raft::AppendProposal(kOrigin, ++sequence, command.SerializeAsString(), &payload);
  }
  return {.id = {raft::Term(term), raft::LogIndex(index)},
          .kind = raft::EntryKind::kCommands,
          .stamp = raft::ClusterMillis(stamp),
          .payload = std::make_shared<const std::string>(std::move(payload))};
}

raft::Entry NoOpEntry(uint64_t index, uint64_t term) {
  return {.id = {raft::Term(term), raft::LogIndex(index)},
          .kind = raft::EntryKind::kNoOp,
          .stamp = raft::ClusterMillis(1000),
          .payload = nullptr};
}

log::v1::ClusterConfiguration FoundingConfiguration() {
  log::v1::ClusterConfiguration configuration;
  configuration.set_cluster_id(77);
  configuration.add_voters(1);
  configuration.add_members()->set_id(1);
  return configuration;
}

absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> StageWith(
    raft::SnapshotWriter* writer, const std::vector<std::string>& chunks) {
  for (const std::string& chunk : chunks) {
    RAFTKV_RETURN_IF_ERROR(writer->Write(chunk));
  }
  return writer->Finish();
}

Store::Store(std::string data_dir) {
  options_.data_dir = std::move(data_dir);
  options_.write_buffer_bytes = 64 << 10;
  options_.log_write_buffer_bytes = 256 << 10;
  options_.wal_bytes_max = 4 << 20;
  options_.cache_bytes = 4 << 20;
}

absl::Status Store::TryOpen() {
  absl::StatusOr<std::unique_ptr<Storage>> opened = Storage::Open(options_, &waker_);
  if (opened.ok()) {
    storage_ = *std::move(opened);
  }
  return opened.status();
}

void Store::Open() {
  const absl::Status status = TryOpen();
  CHECK(status.ok()) << status.ToString();
}

void Store::Reopen() {
  Close();
  Open();
}

void Store::Write(std::vector<raft::LogWrite> writes) {
  for (raft::LogWrite& write : writes) {
    write.id = raft::WriteId(next_write_++);
    storage_->log_store()->Write(std::move(write));
  }
  AwaitDurable(raft::WriteId(next_write_ - 1));
}

void Store::Append(const std::vector<raft::Entry>& entries) {
  raft::LogWrite write{.id = raft::WriteId(next_write_++), .hard_state = {}, .entries = entries};
  if (!entries.empty()) {
    write.hard_state = raft::HardState{.term = entries.back().id.term, .vote = raft::NodeId(1)};
  }
  const raft::WriteId id = write.id;
  storage_->log_store()->Write(std::move(write));
  AwaitDurable(id);
}

void Store::AwaitDurable(raft::WriteId id) {
  raft::WriteId durable;
  int woken = 0;
  while (true) {
    durable = storage_->log_store()->TakeDurable().value_or(durable);
    if (durable >= id) {
      return;
    }
    woken = waker_.AwaitMoreThan(woken);
  }
}

std::vector<log::v1::CommandOutcome> Store::Apply(const std::vector<raft::Entry>& entries) {
  RecordingObserver observer;
  size_t done = 0;
  while (done < entries.size()) {
    done += machine().Apply(absl::MakeConstSpan(entries).subspan(done), &observer);
    std::this_thread::yield();
  }
  return observer.outcomes;
}

std::vector<log::v1::CommandOutcome> Store::Run(const std::vector<log::v1::Command>& commands,
                                                uint64_t stamp) {
  const uint64_t index = machine().applied().index.value() + 1;
  const raft::Entry entry = CommandEntry(index, commands, stamp);
  Append({entry});
  return Apply({entry});
}

void Store::Found() { storage_->Found("n1", 1, FoundingConfiguration()); }

void Store::Trim(uint64_t through) {
  storage_->log_store()->Trim(raft::LogIndex(through));
  while (!Load(through).trimmed) {
    std::this_thread::yield();
  }
}

raft::LoadedEntries Store::Load(uint64_t first, uint64_t bytes_max) {
  raft::LogStore& log = *storage_->log_store();
  const int woken = waker_.count();
  log.Load({.peer = raft::NodeId(2), .first = raft::LogIndex(first), .bytes_max = bytes_max});
  std::vector<raft::LoadedEntries> loaded = log.TakeLoaded();
  for (int count = woken; loaded.empty(); loaded = log.TakeLoaded()) {
    count = waker_.AwaitMoreThan(count);
  }
  CHECK_EQ(loaded.size(), 1u);
  CHECK_EQ(loaded.front().peer, raft::NodeId(2));
  return loaded.front();
}

std::vector<std::string> Store::ReadSnapshot() {
  const std::unique_ptr<raft::SnapshotReader> reader = machine().TakeSnapshot();
  std::vector<std::string> chunks;
  while (true) {
    absl::StatusOr<std::optional<std::string>> chunk = reader->ReadChunk(chunks.size());
    CHECK(chunk.ok()) << chunk.status();
    if (!chunk->has_value()) {
      return chunks;
    }
    chunks.push_back(**std::move(chunk));
  }
}

absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> Store::Stage(
    const raft::SnapshotPoint& point, const std::vector<std::string>& chunks) {
  return StageWith(machine().StageSnapshot(point).get(), chunks);
}

void Store::Install(std::shared_ptr<raft::StagedSnapshot> snapshot, bool keeps_log) {
  storage_->log_store()->Install(std::move(snapshot), keeps_log);
  int woken = 0;
  std::shared_ptr<raft::StagedSnapshot> installed = storage_->log_store()->TakeInstalled();
  for (; installed == nullptr; installed = storage_->log_store()->TakeInstalled()) {
    woken = waker_.AwaitMoreThan(woken);
  }
  while (!machine().Adopt(*installed)) {
    std::this_thread::yield();
  }
}

void Store::BeginWith(Store* other) {
  Open();
  Found();
  Write({{.id = {},
          .hard_state = raft::HardState{.term = raft::Term(1), .vote = {}},
          .entries = {}}});
  auto staged = Stage(other->Point(), other->ReadSnapshot());
  ASSERT_TRUE(staged.ok()) << staged.status();
  Install(*std::move(staged), /*keeps_log=*/false);
}

std::map<std::string, log::v1::StoredKeyValue> Store::Records() {
  const absl::StatusOr<kv::ScanResult> scan =
      machine().TakeView()->Scan({.interval = {}, .keys_max = 1 << 20, .bytes_max = 1 << 30});
  CHECK(scan.ok()) << scan.status();
  std::map<std::string, log::v1::StoredKeyValue> records;
  for (const log::v1::StoredKeyValue& row : scan->rows) {
    records[row.key()] = row;
  }
  return records;
}

std::string Store::Value(const std::string& key) {
  const auto found = machine().TakeView()->Get(key);
  CHECK(found.ok()) << found.status();
  return found->has_value() ? (*found)->value() : "(absent)";
}

std::vector<std::pair<uint64_t, std::string>> Store::TtlRows() {
  std::vector<std::pair<uint64_t, std::string>> rows;
  const absl::StatusOr<kv::DueKeys> due =
      machine().TakeView()->FindDueKeys(raft::ClusterMillis(UINT64_MAX), 1 << 20);
  CHECK(due.ok()) << due.status();
  for (const kv::DueKeys::Due& row : due->keys) {
    rows.emplace_back(row.deadline.value(), row.key);
  }
  return rows;
}

FamilyRows DumpFamily(const std::string& database_path, const std::string& family) {
  RawDatabase raw(database_path);
  FamilyRows rows;
  for (rocksdb::ColumnFamilyHandle* handle : raw.handles()) {
    if (handle->GetName() != family) {
      continue;
    }
    const std::unique_ptr<rocksdb::Iterator> iterator(
        raw.db()->NewIterator(rocksdb::ReadOptions(), handle));
    for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
      rows[iterator->key().ToString()] = iterator->value().ToString();
    }
    CHECK(iterator->status().ok()) << iterator->status().ToString();
  }
  return rows;
}

void FlushAll(const std::string& database_path) {
  RawDatabase raw(database_path);
  const rocksdb::Status status = raw.db()->Flush(rocksdb::FlushOptions(), raw.handles());
  CHECK(status.ok()) << status.ToString();
}

void OverwriteRow(const std::string& database_path, const std::string& family,
                  const std::string& key, const std::optional<std::string>& value) {
  RawDatabase raw(database_path);
  for (rocksdb::ColumnFamilyHandle* handle : raw.handles()) {
    if (handle->GetName() == family) {
      const rocksdb::WriteOptions write;
      const rocksdb::Status status = value.has_value() ? raw.db()->Put(write, handle, key, *value)
                                                       : raw.db()->Delete(write, handle, key);
      CHECK(status.ok()) << status.ToString();
    }
  }
}

std::vector<std::string> ListFamilies(const std::string& database_path) {
  std::vector<std::string> names;
  const rocksdb::Status status =
      rocksdb::DB::ListColumnFamilies(rocksdb::DBOptions(), database_path, &names);
  CHECK(status.ok()) << status.ToString();
  return names;
}

void TrimLog(const std::string& database_path, const LogEdge& edge) {
  RawDatabase raw(database_path);
  rocksdb::WriteBatch batch;
  for (rocksdb::ColumnFamilyHandle* handle : raw.handles()) {
    rocksdb::Status status;
    if (handle->GetName() == kRaftLogFamily) {
      status = batch.DeleteRange(handle, EncodeLogKey(raft::LogIndex(1)),
                                 EncodeLogKey(edge.id.index.Next()));
    } else if (handle->GetName() == kMetaFamily) {
      status = batch.Put(handle, kLogStartKey, EncodeLogEdge(edge));
    }
    CHECK(status.ok()) << status.ToString();
  }
  const rocksdb::Status status = raw.db()->Write(rocksdb::WriteOptions(), &batch);
  CHECK(status.ok()) << status.ToString();
}

void DropFamily(const std::string& database_path, const std::string& name) {
  RawDatabase raw(database_path);
  bool dropped = false;
  for (rocksdb::ColumnFamilyHandle* handle : raw.handles()) {
    if (handle->GetName() == name) {
      const rocksdb::Status status = raw.db()->DropColumnFamily(handle);
      CHECK(status.ok()) << status.ToString();
      dropped = true;
    }
  }
  CHECK(dropped) << "there is no " << name;
}

void AddGeneration(const std::string& database_path, uint64_t generation) {
  RawDatabase raw(database_path);
  for (const std::string& name : GenerationFamilies(generation)) {
    rocksdb::ColumnFamilyHandle* handle = nullptr;
    rocksdb::Status status =
        raw.db()->CreateColumnFamily(rocksdb::ColumnFamilyOptions(), name, &handle);
    CHECK(status.ok()) << status.ToString();
    status = raw.db()->Put(rocksdb::WriteOptions(), handle, "key", "value");
    CHECK(status.ok()) << status.ToString();
    CHECK(raw.db()->DestroyColumnFamilyHandle(handle).ok());
  }
}

std::vector<std::string> FilesWithSuffix(const std::string& database_path,
                                         const std::string& suffix) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(database_path)) {
    if (absl::EndsWith(entry.path().string(), suffix)) {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace raftkv::storage
