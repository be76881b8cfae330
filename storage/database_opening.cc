#include "storage/database_opening.h"

#include <random>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "rocksdb/write_batch.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"
#include "storage/wal_gap_filter.h"

namespace raftkv::storage {
uint64_t RandomId() {
  std::random_device device;
  uint64_t id = 0;
  while (id == 0) {
    id = static_cast<uint64_t>(device()) << 32 | device();
  }
  return id;
}

rocksdb::WriteOptions Synced() {
  rocksdb::WriteOptions options;
  options.sync = true;
  return options;
}

absl::Status OpenFailure(const std::string& path, const rocksdb::Status& status) {
  if (status.IsCorruption() || status.IsPathNotFound() || status.IsInvalidArgument()) {
    return ReadFailure(absl::StrCat("the database ", path), status);
  }
  return absl::FailedPreconditionError(
      absl::StrCat("cannot open the database ", path, ": ", status.ToString()));
}

void CloseDatabase(std::unique_ptr<rocksdb::DB>* db, FamilyHandles* handles) {
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

rocksdb::ColumnFamilyHandle* FindFamily(const FamilyHandles& handles, absl::string_view name) {
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    if (handle->GetName() == name) {
      return handle;
    }
  }
  return nullptr;
}

absl::StatusOr<OwnFamilies> FindOwnFamilies(rocksdb::DB* db, const FamilyHandles& handles) {
  OwnFamilies families{.db = db,
                       .raft_log = FindFamily(handles, kRaftLogFamily),
                       .meta = FindFamily(handles, kMetaFamily)};
  if (families.raft_log == nullptr || families.meta == nullptr) {
    return BadBytes(absl::StrCat("the database ", db->GetName()),
                    "the column family `raft_log` or `meta` is missing");
  }
  return families;
}

absl::StatusOr<std::vector<rocksdb::ColumnFamilyDescriptor>> FindColumnFamilies(
    const StorageOptions& options, const DatabaseMemory& memory,
    const rocksdb::DBOptions& db_options, const std::string& path) {
  std::vector<std::string> names;
  const rocksdb::Status status = rocksdb::DB::ListColumnFamilies(db_options, path, &names);
  if (!status.ok()) {
    return OpenFailure(path, status);
  }
  return MakeColumnFamilies(options, memory, names);
}

absl::Status CreateDatabase(const StorageOptions& options, const std::string& path,
                            const FillDatabase& fill) {
  const DatabaseMemory memory(options);
  WalGapFilter filter(0);
  rocksdb::DBOptions db_options = MakeDbOptions(options, memory, &filter);
  db_options.create_if_missing = true;
  db_options.create_missing_column_families = true;
  db_options.error_if_exists = true;
  FamilyHandles handles;
  rocksdb::DB* raw = nullptr;
  std::vector<std::string> names = GenerationFamilies(kFirstGeneration);
  names.insert(names.end(), {rocksdb::kDefaultColumnFamilyName, kRaftLogFamily, kMetaFamily});
  rocksdb::Status status = rocksdb::DB::Open(
      db_options, path, MakeColumnFamilies(options, memory, names), &handles, &raw);
  if (!status.ok()) {
    return OpenFailure(path, status);
  }
  std::unique_ptr<rocksdb::DB> db(raw);
  rocksdb::ColumnFamilyHandle* const meta = FindFamily(handles, kMetaFamily);
  CHECK(meta != nullptr);
  rocksdb::WriteBatch batch;
  status = batch.Put(meta, kFormatKey, EncodeNumber(kFormatVersion));
  CHECK(status.ok());
  status = batch.Put(meta, kDataIdKey, EncodeId(RandomId()));
  CHECK(status.ok());
  status = batch.Put(meta, kGenerationKey, EncodeNumber(kFirstGeneration));
  CHECK(status.ok());
  status = db->Write(Synced(), &batch);
  absl::Status filled = status.ok() ? absl::OkStatus() : OpenFailure(path, status);
  if (filled.ok() && fill != nullptr) {
    filled = fill(db.get(), &handles);
  }
  CloseDatabase(&db, &handles);
  return filled;
}

}  // namespace raftkv::storage
