// The steps by which a database is made, opened and closed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "rocksdb/db.h"
#include "storage/own_families.h"
#include "storage/rocksdb_options.h"
#include "storage/storage.h"

namespace raftkv::storage {

using FamilyHandles = std::vector<rocksdb::ColumnFamilyHandle*>;

// All of these are functions of the disk alone; thread-safe as that is.

rocksdb::WriteOptions Synced();

// Never 0.
uint64_t RandomId();

// Why the database does not open, with what to do. What cannot be a matter of bytes on disk is not
// called DataLoss.
absl::Status OpenFailure(const std::string& path, const rocksdb::Status& status);

// Does nothing when it is closed.
void CloseDatabase(std::unique_ptr<rocksdb::DB>* db, FamilyHandles* handles);

// Null when there is none.
rocksdb::ColumnFamilyHandle* FindFamily(const FamilyHandles& handles, absl::string_view name);
absl::StatusOr<OwnFamilies> FindOwnFamilies(rocksdb::DB* db, const FamilyHandles& handles);

// All column families that the database has.
absl::StatusOr<std::vector<rocksdb::ColumnFamilyDescriptor>> FindColumnFamilies(
    const StorageOptions& options, const DatabaseMemory& memory,
    const rocksdb::DBOptions& db_options, const std::string& path);

// What else a new database gets before it is closed. It may take handles over.
using FillDatabase = std::function<absl::Status(rocksdb::DB* db, FamilyHandles* handles)>;

// An empty database with its column families, format and data id, and what `fill`, which may be
// null, puts in; durable.
absl::Status CreateDatabase(const StorageOptions& options, const std::string& path,
                            const FillDatabase& fill);

}  // namespace raftkv::storage
