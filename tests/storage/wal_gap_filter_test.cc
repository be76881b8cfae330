#include "storage/wal_gap_filter.h"

#include <string>

#include "gtest/gtest.h"

namespace raftkv::storage {
namespace {

using Option = rocksdb::WalFilter::WalProcessingOption;

// A batch of empty puts as it stands in a WAL.
rocksdb::WriteBatch MakeBatch(uint64_t sequence, int count) {
  rocksdb::WriteBatch batch;
  for (int i = 0; i < count; ++i) {
    EXPECT_TRUE(batch.Put("k", "v").ok());
  }
  std::string bytes = batch.Data();
  for (size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<char>(sequence >> (8 * i));
  }
  return rocksdb::WriteBatch(bytes);
}

Option Feed(WalGapFilter& filter, uint64_t sequence, int count) {
  rocksdb::WriteBatch unused;
  bool changed = false;
  const Option option =
      filter.LogRecordFound(1, "000001.log", MakeBatch(sequence, count), &unused, &changed);
  EXPECT_FALSE(changed);
  return option;
}

TEST(WalGapFilterTest, ConsecutiveBatchesPass) {
  WalGapFilter filter(/*flushed=*/9);
  EXPECT_EQ(Feed(filter, 10, 3), Option::kContinueProcessing);
  EXPECT_EQ(Feed(filter, 13, 1), Option::kContinueProcessing);
  EXPECT_EQ(Feed(filter, 14, 0), Option::kContinueProcessing) << "an empty batch uses no number";
  EXPECT_EQ(Feed(filter, 14, 300), Option::kContinueProcessing);
  EXPECT_EQ(Feed(filter, 314, 1), Option::kContinueProcessing);
  EXPECT_FALSE(filter.found_gap());
}

TEST(WalGapFilterTest, TheFirstBatchMayBeFlushedAlready) {
  WalGapFilter filter(/*flushed=*/1000);
  EXPECT_EQ(Feed(filter, 500, 1), Option::kContinueProcessing);
}

TEST(WalGapFilterTest, ReplayThatStartsBeyondTheFlushedStateStops) {
  WalGapFilter filter(/*flushed=*/9);
  EXPECT_EQ(Feed(filter, 11, 1), Option::kStopReplay);
  EXPECT_TRUE(filter.found_gap());
}

TEST(WalGapFilterTest, AGapStopsReplay) {
  WalGapFilter filter(/*flushed=*/0);
  EXPECT_EQ(Feed(filter, 1, 2), Option::kContinueProcessing);
  EXPECT_EQ(Feed(filter, 4, 1), Option::kStopReplay);
  EXPECT_TRUE(filter.found_gap());
}

TEST(WalGapFilterTest, GoingBackIsCorruption) {
  WalGapFilter filter(/*flushed=*/0);
  EXPECT_EQ(Feed(filter, 1, 2), Option::kContinueProcessing);
  EXPECT_EQ(Feed(filter, 2, 1), Option::kCorruptedRecord);
}

}  // namespace
}  // namespace raftkv::storage
