#include "storage/ordered_inserts.h"

#include "glog/logging.h"

namespace raftkv::storage {
namespace {

bool& InOrder(OrderedInserts::Of of) {
  thread_local bool in_order[] = {false, false, false};
  return in_order[static_cast<size_t>(of)];
}

// RocksDB keeps one hint for each prefix of a memtable, and uses none for keys out of the domain.
class Hint final : public rocksdb::SliceTransform {
 public:
  explicit Hint(OrderedInserts::Of of) : of_(of) {}

  const char* Name() const override { return "raftkv.OrderedInserts"; }
  rocksdb::Slice Transform(const rocksdb::Slice& /*key*/) const override { return {}; }
  bool InDomain(const rocksdb::Slice& /*key*/) const override { return InOrder(of_); }

 private:
  const OrderedInserts::Of of_;
};

}  // namespace

OrderedInserts::OrderedInserts(Of of) : of_(of) {
  CHECK(!InOrder(of));
  InOrder(of) = true;
}

OrderedInserts::~OrderedInserts() { InOrder(of_) = false; }

std::shared_ptr<const rocksdb::SliceTransform> MakeOrderedInsertsHint(OrderedInserts::Of of) {
  return std::make_shared<const Hint>(of);
}

}  // namespace raftkv::storage
