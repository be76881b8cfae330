// The open database and its column families.
#pragma once

#include "rocksdb/db.h"

namespace raftkv::storage {

// Borrowed from RocksDbStorage, which outlives everything that holds a copy. RocksDB itself is
// thread-safe.
struct ColumnFamilies {
  rocksdb::DB* db = nullptr;
  rocksdb::ColumnFamilyHandle* raft_log = nullptr;
  rocksdb::ColumnFamilyHandle* meta = nullptr;
  rocksdb::ColumnFamilyHandle* latest = nullptr;
  rocksdb::ColumnFamilyHandle* ttl = nullptr;
};

}  // namespace raftkv::storage
