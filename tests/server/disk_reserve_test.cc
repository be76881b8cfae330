#include "server/disk_reserve.h"

#include <gtest/gtest.h>

namespace raftkv::server {
namespace {

constexpr int64_t kMiB = 1 << 20;
constexpr int64_t kGiB = 1 << 30;

TEST(DiskReserveBytesTest, IsWhatWasAskedForOrATwentiethUpToOneGibibyte) {
  EXPECT_EQ(DiskReserveBytes(0, 100 * kGiB), kGiB);
  EXPECT_EQ(DiskReserveBytes(0, 20 * kGiB), kGiB);
  EXPECT_EQ(DiskReserveBytes(0, 200 * kMiB), 10 * kMiB);
  EXPECT_EQ(DiskReserveBytes(16 * kMiB, 100 * kGiB), 16 * kMiB);
  EXPECT_EQ(DiskReserveBytes(3 * kGiB, 2 * kGiB), 3 * kGiB);
}

TEST(DiskReserveTest, IsLowBelowTheReserveAndUntilThereIsASixteenthMore) {
  DiskReserve reserve(1600);
  EXPECT_FALSE(reserve.low());
  EXPECT_FALSE(reserve.Update(1600));
  EXPECT_FALSE(reserve.low());
  EXPECT_TRUE(reserve.Update(1599));
  EXPECT_TRUE(reserve.low());
  EXPECT_FALSE(reserve.Update(0));
  EXPECT_FALSE(reserve.Update(1699));
  EXPECT_TRUE(reserve.low());
  EXPECT_TRUE(reserve.Update(1700));
  EXPECT_FALSE(reserve.low());
  EXPECT_FALSE(reserve.Update(1600)) << "it went up once, so a little less is no matter";
}

TEST(DiskReserveTest, IsNearUpToFourTimesTheReserve) {
  const DiskReserve reserve(100);
  EXPECT_TRUE(reserve.IsNear(399));
  EXPECT_FALSE(reserve.IsNear(400));
}

}  // namespace
}  // namespace raftkv::server
