#include "storage/ordered_inserts.h"

#include "glog/logging.h"

namespace raftkv::storage {
namespace {

thread_local bool in_order = false;

// RocksDB keeps one hint for each prefix of a memtable, and uses none for keys out of the domain.
class Hint final : public rocksdb::SliceTransform {
 public:
  const char* Name() const override { return "raftkv.OrderedInserts"; }
  rocksdb::Slice Transform(const rocksdb::Slice& /*key*/) const override { return {}; }
  bool InDomain(const rocksdb::Slice& /*key*/) const override { return in_order; }
};

}  // namespace

OrderedInserts::OrderedInserts() {
  CHECK(!in_order);
  in_order = true;
}

OrderedInserts::~OrderedInserts() { in_order = false; }

std::shared_ptr<const rocksdb::SliceTransform> MakeOrderedInsertsHint() {
  return std::make_shared<const Hint>();
}

}  // namespace raftkv::storage
