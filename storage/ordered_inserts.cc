#include "storage/ordered_inserts.h"

#include <cstddef>
#include <cstdint>

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

class NumberedHint final : public rocksdb::SliceTransform {
 public:
  explicit NumberedHint(char first_byte) : first_byte_(first_byte) {}

  const char* Name() const override { return "raftkv.NumberedInserts"; }
  // What is deleted ascends as well, but far below what is added: numbers that lie far from each
  // other have hints of their own.
  rocksdb::Slice Transform(const rocksdb::Slice& key) const override {
    return {key.data(), kKeyBytes - kBytesOfNear};
  }
  bool InDomain(const rocksdb::Slice& key) const override {
    return key.size() == kKeyBytes && key[0] == first_byte_;
  }

 private:
  static constexpr size_t kKeyBytes = 1 + sizeof(uint64_t);
  static constexpr size_t kBytesOfNear = 2;

  const char first_byte_;
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

std::shared_ptr<const rocksdb::SliceTransform> MakeNumberedInsertsHint(char first_byte) {
  return std::make_shared<const NumberedHint>(first_byte);
}

}  // namespace raftkv::storage
