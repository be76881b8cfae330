// The column families that are a member's own, whatever state it replicates (generation.h).
#pragma once

#include "rocksdb/db.h"

namespace raftkv::storage {

// Borrowed from RocksDbStorage, which outlives everything that holds a copy. RocksDB itself is
// thread-safe.
struct OwnFamilies {
  rocksdb::DB* db = nullptr;
  rocksdb::ColumnFamilyHandle* raft_log = nullptr;
  rocksdb::ColumnFamilyHandle* meta = nullptr;
};

}  // namespace raftkv::storage
