// Makes a large write in the order of its keys cheap: each insert into a memtable begins where the
// last one ended, instead of searching from the top.
//
// RocksDB 7.8 has one hint for the rows and the range deletes of a memtable, which are two lists: a
// range delete that uses it is linked into the wrong one. So what deletes ranges uses no hint.
#pragma once

#include <memory>

#include "rocksdb/slice_transform.h"

namespace raftkv::storage {

// While one lives, what its thread writes should ascend by key within each column family of that
// kind. Writes out of order are right too, but dearer than without it.
// REQUIRES: none of them is a range delete. Those of other threads, which this one may carry out
// along with its own, are of other families.
class OrderedInserts {
 public:
  enum class Of {
    kState,    // `latest` and `ttl`
    kHistory,  // `history`
    kLog,      // `raft_log`
  };

  explicit OrderedInserts(Of of);
  ~OrderedInserts();
  OrderedInserts(const OrderedInserts&) = delete;
  OrderedInserts& operator=(const OrderedInserts&) = delete;

 private:
  const Of of_;
};

// For ColumnFamilyOptions::memtable_insert_with_hint_prefix_extractor of a family of this kind.
std::shared_ptr<const rocksdb::SliceTransform> MakeOrderedInsertsHint(OrderedInserts::Of of);

// The same for a family in which keys of `first_byte` and a number (be64) are written in ascending
// order, always, among others in no order. REQUIRES: no range delete is ever written to it.
std::shared_ptr<const rocksdb::SliceTransform> MakeNumberedInsertsHint(char first_byte);

}  // namespace raftkv::storage
