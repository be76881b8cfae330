#include "storage/log_sizes.h"

#include "gtest/gtest.h"

namespace raftkv::storage {
namespace {

constexpr uint64_t kSegment = LogSizes::kSegmentBytes;

raft::LogIndex At(uint64_t index) { return raft::LogIndex(index); }

TEST(LogSizesTest, NothingTakesNothing) { EXPECT_EQ(LogSizes().FirstOfNewest(1), At(0)); }

TEST(LogSizesTest, FindsTheSegment) {
  LogSizes sizes;
  for (uint64_t i = 0; i < 10; ++i) {
    sizes.Append(At(1 + 10 * i), kSegment);
  }
  EXPECT_EQ(sizes.FirstOfNewest(1), At(91));
  EXPECT_EQ(sizes.FirstOfNewest(kSegment), At(91));
  EXPECT_EQ(sizes.FirstOfNewest(kSegment + 1), At(81));
  EXPECT_EQ(sizes.FirstOfNewest(10 * kSegment), At(1));
  EXPECT_EQ(sizes.FirstOfNewest(10 * kSegment + 1), At(0));
}

TEST(LogSizesTest, SmallAppendsShareASegment) {
  LogSizes sizes;
  for (uint64_t i = 1; i <= 100; ++i) {
    sizes.Append(At(i), kSegment / 10);
  }
  EXPECT_EQ(sizes.FirstOfNewest(1), At(100));
  EXPECT_EQ(sizes.FirstOfNewest(kSegment), At(89));
}

TEST(LogSizesTest, ACutForgetsTheNewest) {
  LogSizes sizes;
  for (uint64_t i = 0; i < 10; ++i) {
    sizes.Append(At(1 + 10 * i), kSegment);
  }
  sizes.CutFrom(At(81));
  EXPECT_EQ(sizes.FirstOfNewest(1), At(71));
  sizes.Append(At(81), 5);
  EXPECT_EQ(sizes.FirstOfNewest(5), At(81));
}

TEST(LogSizesTest, ATrimForgetsTheOldest) {
  LogSizes sizes;
  for (uint64_t i = 0; i < 10; ++i) {
    sizes.Append(At(1 + 10 * i), kSegment);
  }
  sizes.TrimTo(At(55));
  EXPECT_EQ(sizes.FirstOfNewest(5 * kSegment), At(55));
  EXPECT_EQ(sizes.FirstOfNewest(5 * kSegment + 1), At(0));
}

}  // namespace
}  // namespace raftkv::storage
