// How raftkv configures RocksDB, with the reasons. Everything that durability hangs on is here.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rocksdb/cache.h"
#include "rocksdb/db.h"
#include "rocksdb/options.h"
#include "rocksdb/write_buffer_manager.h"
#include "storage/storage.h"

namespace raftkv::storage {

// The environment that `options` ask for.
rocksdb::Env* EnvOf(const StorageOptions& options);

// The memory that a database's parts share. Outlived by nothing that it was given to; thread-safe.
class DatabaseMemory {
 public:
  explicit DatabaseMemory(const StorageOptions& options);

  const std::shared_ptr<rocksdb::Cache>& cache() const { return cache_; }
  const std::shared_ptr<rocksdb::WriteBufferManager>& write_buffers() const {
    return write_buffers_;
  }
  StorageMemory Use() const;

 private:
  const std::shared_ptr<rocksdb::Cache> cache_;
  // Takes its room from the cache.
  const std::shared_ptr<rocksdb::WriteBufferManager> write_buffers_;
};

// The options of the whole database. `wal_filter` must outlive it.
rocksdb::DBOptions MakeDbOptions(const StorageOptions& options, const DatabaseMemory& memory,
                                 rocksdb::WalFilter* wal_filter);

// The column families of these names (key_layout.h), to be opened or made.
std::vector<rocksdb::ColumnFamilyDescriptor> MakeColumnFamilies(
    const StorageOptions& options, const DatabaseMemory& memory,
    const std::vector<std::string>& names);

// Aborts when an option under which acknowledged writes get lost is set. Asked of the options that
// RocksDB ended up with once it is open, because it changes some by itself.
void CheckSafe(const rocksdb::DBOptions& options);

}  // namespace raftkv::storage
