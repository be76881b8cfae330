#include "storage/wal_gap_filter.h"

#include "base/mutant.h"
#include "glog/logging.h"

namespace raftkv::storage {
namespace {

constexpr size_t kSequenceBytes = 8;
constexpr size_t kCountBytes = 4;

uint64_t ReadLittleEndian(const std::string& bytes, size_t offset, size_t size) {
  uint64_t number = 0;
  for (size_t i = 0; i < size; ++i) {
    number |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[offset + i])) << (8 * i);
  }
  return number;
}

}  // namespace

BatchSequence ReadBatchSequence(const rocksdb::WriteBatch& batch) {
  const std::string& bytes = batch.Data();
  CHECK_GE(bytes.size(), kSequenceBytes + kCountBytes);
  return {.first = ReadLittleEndian(bytes, 0, kSequenceBytes),
          .count = ReadLittleEndian(bytes, kSequenceBytes, kCountBytes)};
}

rocksdb::WalFilter::WalProcessingOption WalGapFilter::LogRecordFound(
    unsigned long long, const std::string& log_file_name,  // NOLINT: RocksDB's own type.
    const rocksdb::WriteBatch& batch, rocksdb::WriteBatch*, bool*) {
  const auto [first, count] = ReadBatchSequence(batch);
  const bool gap = expected_.has_value() ? first > *expected_ : first > flushed_ + 1;
  if (gap && !RAFTKV_MUTANT(kWalGapsReplayed)) {
    LOG(WARNING) << "the write-ahead log has a gap before " << log_file_name
                 << ": nothing behind it was acknowledged, and it is dropped";
    found_gap_ = true;
    return WalProcessingOption::kStopReplay;
  }
  if (expected_.has_value() && first < *expected_) {
    // No crash does this, so nobody knows which of the two is right.
    LOG(ERROR) << "the write-ahead log goes back at " << log_file_name;
    return WalProcessingOption::kCorruptedRecord;
  }
  expected_ = first + count;
  return WalProcessingOption::kContinueProcessing;
}

}  // namespace raftkv::storage
