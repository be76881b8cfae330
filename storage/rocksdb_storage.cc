#include "storage/rocksdb_storage.h"

#include <algorithm>
#include <cstdarg>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "rocksdb/env.h"
#include "rocksdb/iterator.h"
#include "rocksdb/write_batch.h"
#include "storage/disk_failure.h"
#include "storage/rocksdb_options.h"

namespace raftkv::storage {
namespace {

rocksdb::WriteOptions Synced() {
  rocksdb::WriteOptions options;
  options.sync = true;
  return options;
}

// Opening rotates RocksDB's LOG; the look at the flushed state must not push out the log of the run
// before.
class SilentLogger final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

uint64_t RandomDataId() {
  std::random_device device;
  uint64_t id = 0;
  while (id == 0) {
    id = static_cast<uint64_t>(device()) << 32 | device();
  }
  return id;
}

// Why the database does not open, with what to do. What cannot be a matter of bytes on disk is not
// called DataLoss.
absl::Status OpenFailure(const std::string& path, const rocksdb::Status& status) {
  if (status.IsCorruption() || status.IsPathNotFound() || status.IsInvalidArgument()) {
    return ReadFailure(absl::StrCat("the database ", path), status);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("cannot open the database ", path, ": ", status.ToString()));
}

void CloseDatabase(std::unique_ptr<rocksdb::DB>* db,
                   std::vector<rocksdb::ColumnFamilyHandle*>* handles) {
  if (*db == nullptr) {
    return;
  }
  for (rocksdb::ColumnFamilyHandle* handle : *handles) {
    (*db)->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
  }
  handles->clear();
  // Everything that matters is synced already.
  if (const rocksdb::Status status = (*db)->Close(); !status.ok()) {
    LOG(WARNING) << "closing the database: " << status.ToString();
  }
  db->reset();
}

// An empty database with its column families, format and data id, durable.
absl::Status CreateDatabase(const StorageOptions& options, const std::string& path) {
  WalGapFilter filter(0);
  rocksdb::DBOptions db_options = MakeDbOptions(options, &filter);
  db_options.create_if_missing = true;
  db_options.create_missing_column_families = true;
  db_options.error_if_exists = true;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  rocksdb::Status status =
      rocksdb::DB::Open(db_options, path, MakeColumnFamilies(options), &handles, &raw);
  if (!status.ok()) {
    return OpenFailure(path, status);
  }
  std::unique_ptr<rocksdb::DB> db(raw);
  rocksdb::ColumnFamilyHandle* meta = nullptr;
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    meta = handle->GetName() == kMetaFamily ? handle : meta;
  }
  CHECK(meta != nullptr);
  rocksdb::WriteBatch batch;
  status = batch.Put(meta, kFormatKey, EncodeNumber(kFormatVersion));
  CHECK(status.ok());
  status = batch.Put(meta, kDataIdKey, EncodeDataId(RandomDataId()));
  CHECK(status.ok());
  status = db->Write(Synced(), &batch);
  CloseDatabase(&db, &handles);
  return status.ok() ? absl::OkStatus() : OpenFailure(path, status);
}

// The newest sequence number in the table files, which is what a database without its WAL ends
// with.
absl::StatusOr<uint64_t> ReadFlushedSequence(const StorageOptions& options,
                                             const std::string& path) {
  WalIgnoringFilter filter;
  rocksdb::DBOptions db_options = MakeDbOptions(options, &filter);
  db_options.max_open_files = 64;  // Only the manifest is of interest.
  db_options.listeners.clear();
  db_options.info_log = std::make_shared<SilentLogger>();
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status =
      rocksdb::DB::OpenForReadOnly(db_options, path, MakeColumnFamilies(options), &handles, &raw);
  if (!status.ok()) {
    return OpenFailure(path, status);
  }
  std::unique_ptr<rocksdb::DB> db(raw);
  const uint64_t sequence = db->GetLatestSequenceNumber();
  CloseDatabase(&db, &handles);
  return sequence;
}

}  // namespace

bool Storage::HoldsData(const std::string& data_dir) {
  return std::filesystem::exists(absl::StrCat(data_dir, "/", kFormatFile));
}

absl::StatusOr<std::unique_ptr<Storage>> Storage::Open(const StorageOptions& options,
                                                       Waker* waker) {
  return RocksDbStorage::Open(options, waker);
}

absl::StatusOr<std::unique_ptr<Storage>> RocksDbStorage::Open(const StorageOptions& options,
                                                              Waker* waker) {
  RAFTKV_ASSIGN_OR_RETURN(DataDirectory directory, DataDirectory::Open(options.data_dir));
  if (!directory.has_database()) {
    RAFTKV_ASSIGN_OR_RETURN(const std::string path, directory.StartDatabase());
    RAFTKV_RETURN_IF_ERROR(CreateDatabase(options, path));
    RAFTKV_RETURN_IF_ERROR(directory.FinishDatabase());
  }
  std::unique_ptr<RocksDbStorage> storage(new RocksDbStorage(options, std::move(directory)));
  RAFTKV_RETURN_IF_ERROR(storage->OpenDatabase());
  RAFTKV_RETURN_IF_ERROR(storage->Load(waker));
  RAFTKV_RETURN_IF_ERROR(storage->directory_.MarkComplete());
  return std::unique_ptr<Storage>(std::move(storage));
}

RocksDbStorage::~RocksDbStorage() {
  reader_.reset();
  state_machine_.reset();
  log_store_.reset();
  CloseDatabase(&db_, &handles_);
}

absl::Status RocksDbStorage::OpenDatabase() {
  const std::string path = directory_.database_path();
  RAFTKV_ASSIGN_OR_RETURN(const uint64_t flushed, ReadFlushedSequence(options_, path));
  wal_filter_ = std::make_unique<WalGapFilter>(flushed);
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status status = rocksdb::DB::Open(MakeDbOptions(options_, wal_filter_.get()), path,
                                                   MakeColumnFamilies(options_), &handles_, &raw);
  if (!status.ok()) {
    return OpenFailure(path, status);
  }
  db_.reset(raw);
  CheckSafe(db_->GetDBOptions());
  families_.db = raw;
  for (rocksdb::ColumnFamilyHandle* handle : handles_) {
    const std::string& name = handle->GetName();
    if (name == kRaftLogFamily) {
      families_.raft_log = handle;
    } else if (name == kMetaFamily) {
      families_.meta = handle;
    } else if (name == kLatestFamily) {
      families_.latest = handle;
    } else if (name == kTtlFamily) {
      families_.ttl = handle;
    }
  }
  return absl::OkStatus();
}

absl::Status RocksDbStorage::Load(Waker* waker) {
  RAFTKV_RETURN_IF_ERROR(LoadIdentity());
  RAFTKV_ASSIGN_OR_RETURN(const AppliedState applied, ReadAppliedState());
  RAFTKV_ASSIGN_OR_RETURN(std::optional<raft::Entry> last, ReadLastEntry());
  RAFTKV_ASSIGN_OR_RETURN(auto member_records, ReadMemberRecords());
  RAFTKV_ASSIGN_OR_RETURN(const raft::ClusterMillis earliest_deadline, ReadEarliestDeadline());
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> saved_time, ReadMeta(kClusterTimeKey));
  uint64_t cluster_time = applied.stamp.value();
  if (saved_time.has_value()) {
    const std::optional<uint64_t> saved = DecodeNumber(*saved_time);
    if (!saved.has_value()) {
      return BadBytes("`meta`", "the cluster time makes no sense");
    }
    cluster_time = std::max(cluster_time, *saved);
  }
  if (last.has_value()) {
    // Stamps never go back along the log, so the last is the largest.
    cluster_time = std::max(cluster_time, last->stamp.value());
  }
  restored_cluster_time_ = raft::ClusterMillis(cluster_time);

  reader_ = std::make_unique<ReaderThread>();
  log_store_ = std::make_unique<RocksDbLogStore>(
      families_, last.has_value() ? last->id.index : raft::LogIndex(0), reader_.get(), waker);
  state_machine_ = std::make_unique<RocksDbKvStateMachine>(
      families_, applied, earliest_deadline, std::move(member_records), reader_.get(), waker);
  return absl::OkStatus();
}

absl::Status RocksDbStorage::LoadIdentity() {
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> format, ReadMeta(kFormatKey));
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> data_id, ReadMeta(kDataIdKey));
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> name, ReadMeta(kNameKey));
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> member_id, ReadMeta(kMemberIdKey));
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> configuration,
                          ReadMeta(kConfigurationKey));
  const std::optional<uint64_t> version = DecodeNumber(format.value_or(""));
  if (!version.has_value()) {
    return BadBytes("`meta`", "the format version is missing");
  }
  if (*version != kFormatVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat("the database ", directory_.database_path(), " has format version ", *version,
                     ", this raftkvd uses version ", kFormatVersion));
  }
  data_id_ = DecodeDataId(data_id.value_or("")).value_or(0);
  if (data_id_ == 0) {
    return BadBytes("`meta`", "the data id is missing");
  }
  if (!name.has_value() && !member_id.has_value() && !configuration.has_value()) {
    return absl::OkStatus();
  }
  member_name_ = name.value_or("");
  member_id_ = DecodeNumber(member_id.value_or("")).value_or(0);
  if (member_name_.empty() || member_id_ == 0 || !configuration.has_value() ||
      !configuration_.emplace().ParseFromString(*configuration)) {
    return BadBytes("`meta`", "the founding record is incomplete");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> RocksDbStorage::ReadMeta(absl::string_view key) const {
  std::string value;
  const rocksdb::Status status =
      db_->Get(rocksdb::ReadOptions(), families_.meta, ToSlice(key), &value);
  if (status.IsNotFound()) {
    return std::optional<std::string>();
  }
  if (!status.ok()) {
    return ReadFailure("`meta`", status);
  }
  return std::optional<std::string>(std::move(value));
}

absl::StatusOr<raft::HardState> RocksDbStorage::ReadHardState() const {
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> value, ReadMeta(kHardStateKey));
  if (!value.has_value()) {
    return raft::HardState();
  }
  const std::optional<raft::HardState> state = DecodeHardState(*value);
  if (!state.has_value()) {
    return BadBytes("`meta`", "the hard state makes no sense");
  }
  return *state;
}

absl::StatusOr<AppliedState> RocksDbStorage::ReadAppliedState() const {
  RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> value, ReadMeta(kAppliedKey));
  if (!value.has_value()) {
    return AppliedState();
  }
  const std::optional<AppliedState> state = DecodeAppliedState(*value);
  if (!state.has_value()) {
    return BadBytes("`meta`", "the applied index makes no sense");
  }
  return *state;
}

absl::StatusOr<std::map<uint64_t, log::v1::MemberRecord>> RocksDbStorage::ReadMemberRecords()
    const {
  std::map<uint64_t, log::v1::MemberRecord> records;
  const rocksdb::Slice end = kMemberRecordEnd;
  rocksdb::ReadOptions options;
  options.iterate_upper_bound = &end;
  const std::unique_ptr<rocksdb::Iterator> iterator(db_->NewIterator(options, families_.meta));
  for (iterator->Seek(kMemberRecordPrefix); iterator->Valid(); iterator->Next()) {
    log::v1::MemberRecord record;
    const rocksdb::Slice value = iterator->value();
    if (!record.ParseFromArray(value.data(), static_cast<int>(value.size()))) {
      return BadBytes("`meta`", "a member's record makes no sense");
    }
    records[record.member_id()] = record;
  }
  if (!iterator->status().ok()) {
    return ReadFailure("`meta`", iterator->status());
  }
  return records;
}

absl::StatusOr<raft::ClusterMillis> RocksDbStorage::ReadEarliestDeadline() const {
  const std::unique_ptr<rocksdb::Iterator> iterator(
      db_->NewIterator(rocksdb::ReadOptions(), families_.ttl));
  iterator->SeekToFirst();
  if (!iterator->status().ok()) {
    return ReadFailure("`ttl`", iterator->status());
  }
  if (!iterator->Valid()) {
    return raft::ClusterMillis(0);
  }
  const std::optional<TtlRow> row = DecodeTtlKey(ToView(iterator->key()));
  if (!row.has_value()) {
    return BadBytes("`ttl`", "a row makes no sense");
  }
  return row->deadline;
}

absl::StatusOr<std::optional<raft::Entry>> RocksDbStorage::ReadLastEntry() const {
  const std::unique_ptr<rocksdb::Iterator> iterator(
      db_->NewIterator(rocksdb::ReadOptions(), families_.raft_log));
  iterator->SeekToLast();
  if (!iterator->status().ok()) {
    return ReadFailure("`raft_log`", iterator->status());
  }
  if (!iterator->Valid()) {
    return std::optional<raft::Entry>();
  }
  const std::optional<raft::LogIndex> index = DecodeLogKey(ToView(iterator->key()));
  std::optional<raft::Entry> entry;
  if (index.has_value()) {
    entry = DecodeLogValue(*index, ToView(iterator->value()));
  }
  if (!entry.has_value()) {
    return BadBytes("`raft_log`", "the last entry makes no sense");
  }
  return entry;
}

void RocksDbStorage::Found(const std::string& name, uint64_t member_id,
                           const log::v1::ClusterConfiguration& configuration) {
  CHECK(!configuration_.has_value()) << "this member is founded already";
  CHECK(!name.empty());
  CHECK_NE(member_id, 0u);
  rocksdb::WriteBatch batch;
  for (const auto& [key, value] :
       {std::pair(kNameKey, name), std::pair(kMemberIdKey, EncodeNumber(member_id)),
        std::pair(kConfigurationKey, configuration.SerializeAsString())}) {
    const rocksdb::Status built = batch.Put(families_.meta, key, value);
    CHECK(built.ok()) << built.ToString();
  }
  if (const rocksdb::Status status = db_->Write(Synced(), &batch); !status.ok()) {
    AbortOnWriteFailure("store the founding record", status);
  }
  member_name_ = name;
  member_id_ = member_id;
  configuration_ = configuration;
}

absl::StatusOr<raft::RestoredState> RocksDbStorage::Restore() {
  raft::RestoredState restored;
  RAFTKV_ASSIGN_OR_RETURN(restored.hard_state, ReadHardState());
  restored.applied = state_machine_->applied();
  RAFTKV_RETURN_IF_ERROR(ReadTail(&restored));

  const raft::EntryId last = restored.tail.empty() ? restored.previous : restored.tail.back().id;
  if (last.index < restored.applied.index) {
    return BadBytes("`raft_log`",
                    absl::StrCat("it ends at index ", last.index.value(), ", but entries up to ",
                                 restored.applied.index.value(), " are applied"));
  }
  if (restored.hard_state.term < last.term) {
    return BadBytes("`meta`", absl::StrCat("it knows term ", restored.hard_state.term.value(),
                                           ", but the log ends in term ", last.term.value()));
  }
  return restored;
}

absl::Status RocksDbStorage::ReadTail(raft::RestoredState* restored) const {
  const raft::EntryId applied = restored->applied;
  std::vector<raft::Entry>& tail = restored->tail;
  uint64_t bytes = 0;
  std::optional<raft::EntryId> after;  // The entry that was read before, which follows in the log.
  const std::unique_ptr<rocksdb::Iterator> iterator(
      db_->NewIterator(rocksdb::ReadOptions(), families_.raft_log));
  for (iterator->SeekToLast(); iterator->Valid(); iterator->Prev()) {
    const std::optional<raft::LogIndex> index = DecodeLogKey(ToView(iterator->key()));
    std::optional<raft::Entry> entry;
    if (index.has_value()) {
      entry = DecodeLogValue(*index, ToView(iterator->value()));
    }
    if (!entry.has_value() || index->value() == 0) {
      return BadBytes("`raft_log`", "an entry makes no sense");
    }
    const raft::EntryId id = entry->id;
    if (after.has_value() && (id.index.Next() != after->index || id.term > after->term)) {
      return BadBytes("`raft_log`",
                      absl::StrCat("entry ", id.index.value(), " of term ", id.term.value(),
                                   " stands before entry ", after->index.value(), " of term ",
                                   after->term.value()));
    }
    if (id.index == applied.index && id.term != applied.term) {
      return BadBytes("`raft_log`",
                      absl::StrCat("the applied entry ", applied.index.value(), " is of term ",
                                   applied.term.value(), ", the log has term ", id.term.value()));
    }
    after = id;
    bytes += entry->size_bytes();
    if (id.index <= applied.index && bytes > options_.log_memory_bytes_max) {
      restored->previous = id;
      break;
    }
    tail.push_back(*std::move(entry));
  }
  if (!iterator->status().ok()) {
    return ReadFailure("`raft_log`", iterator->status());
  }
  std::reverse(tail.begin(), tail.end());
  const bool starts_at_one =
      tail.empty() || restored->previous.index.value() != 0 || tail.front().id.index.value() == 1;
  if (!starts_at_one) {
    return BadBytes("`raft_log`",
                    absl::StrCat("it starts at index ", tail.front().id.index.value()));
  }
  return absl::OkStatus();
}

void RocksDbStorage::SaveClusterTime(raft::ClusterMillis now) {
  rocksdb::WriteOptions options;
  options.no_slowdown = true;
  const rocksdb::Status status =
      db_->Put(options, families_.meta, kClusterTimeKey, EncodeNumber(now.value()));
  if (!status.ok() && !status.IsIncomplete()) {
    AbortOnWriteFailure("save the cluster time", status);
  }
}

int64_t RocksDbStorage::DiskBytes() const {
  namespace fs = std::filesystem;
  int64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(options_.data_dir, error), end;
       !error && entry != end; entry.increment(error)) {
    // A file may be gone by now; then it counts nothing.
    std::error_code gone;
    const bool is_file = entry->is_regular_file(gone);
    const uintmax_t size = is_file ? entry->file_size(gone) : 0;
    bytes += gone ? 0 : static_cast<int64_t>(size);
  }
  return bytes;
}

}  // namespace raftkv::storage
