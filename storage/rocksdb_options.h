// How raftkv configures RocksDB, with the reasons. Everything that durability hangs on is here.
#pragma once

#include <memory>
#include <vector>

#include <string>
#include <vector>

#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "storage/storage.h"

namespace raftkv::storage {

// The environment that `options` ask for.
rocksdb::Env* EnvOf(const StorageOptions& options);

// The options of the whole database. `wal_filter` must outlive it.
rocksdb::DBOptions MakeDbOptions(const StorageOptions& options, rocksdb::WalFilter* wal_filter);

// The column families of these names (key_layout.h), to be opened or made.
std::vector<rocksdb::ColumnFamilyDescriptor> MakeColumnFamilies(
    const StorageOptions& options, const std::vector<std::string>& names);

// Aborts when an option under which acknowledged writes get lost is set. Asked of the options that
// RocksDB ended up with once it is open, because it changes some by itself.
void CheckSafe(const rocksdb::DBOptions& options);

}  // namespace raftkv::storage
