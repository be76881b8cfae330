// Makes a large write in the order of its keys cheap: each insert into a memtable begins where the
// last one ended, instead of searching from the top.
#pragma once

#include <memory>

#include "rocksdb/slice_transform.h"

namespace raftkv::storage {

// While one lives, what its thread writes should ascend by key within each column family. Writes
// out of order are right too, but dearer than without it.
class OrderedInserts {
 public:
  OrderedInserts();
  ~OrderedInserts();
  OrderedInserts(const OrderedInserts&) = delete;
  OrderedInserts& operator=(const OrderedInserts&) = delete;
};

// For ColumnFamilyOptions::memtable_insert_with_hint_prefix_extractor of a family that is also
// written out of order.
std::shared_ptr<const rocksdb::SliceTransform> MakeOrderedInsertsHint();

}  // namespace raftkv::storage
