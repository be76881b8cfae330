#include "storage/wal_gap_filter.h"

#include "base/coding.h"
#include "glog/logging.h"

namespace raftkv::storage {

BatchSequence ReadBatchSequence(const rocksdb::WriteBatch& batch) {
  ByteReader header(batch.Data());
  const uint64_t first = header.Fixed64();
  const uint32_t count = header.Fixed32();
  CHECK(header.ok()) << "a write batch of " << batch.Data().size() << " bytes";
  return {.first = first, .count = count};
}

rocksdb::WalFilter::WalProcessingOption WalGapFilter::LogRecordFound(
    unsigned long long, const std::string& log_file_name,  // NOLINT: RocksDB's own type.
    const rocksdb::WriteBatch& batch, rocksdb::WriteBatch*, bool*) {
  const auto [first, count] = ReadBatchSequence(batch);
  const bool gap = expected_.has_value() ? first > *expected_ : first > flushed_ + 1;
  if (gap) {
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
