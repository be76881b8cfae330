#include "storage/ballast.h"

#include <sys/statvfs.h>

#include <filesystem>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMiB = 1 << 20;
// More than any disk has.
constexpr int64_t kEndless = int64_t{1} << 60;

TEST(BallastTest, IsAQuarterOfTheReserveUpTo256MiBAndNothingSmall) {
  EXPECT_EQ(BallastBytes(0), 0);
  EXPECT_EQ(BallastBytes(16 * kMiB - 1), 0);
  EXPECT_EQ(BallastBytes(16 * kMiB), 4 * kMiB);
  EXPECT_EQ(BallastBytes(1024 * kMiB), 256 * kMiB);
  EXPECT_EQ(BallastBytes(8192 * kMiB), 256 * kMiB);
}

TEST(BallastTest, TakesSpaceAndIsNotSparse) {
  const TempDir dir;
  const std::string path = dir.File(kBallastFile);
  EXPECT_EQ(AllocatedBytes(path), 0);
  ASSERT_TRUE(MakeBallast(path, 4 * kMiB).ok());
  EXPECT_GE(AllocatedBytes(path), 4 * kMiB);
  EXPECT_LT(AllocatedBytes(path), 5 * kMiB);
}

TEST(BallastTest, WhatDoesNotFitLeavesNothingBehind) {
  const TempDir dir;
  const std::string path = dir.File(kBallastFile);
  ASSERT_TRUE(MakeBallast(path, 4 * kMiB).ok());
  EXPECT_EQ(MakeBallast(path, kEndless).code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_FALSE(fs::exists(path));
}

TEST(BallastTest, StaysWhileThereIsSpace) {
  const TempDir dir;
  const std::string path = dir.File(kBallastFile);
  GiveUpBallastIfFull(path);
  ASSERT_TRUE(MakeBallast(path, 4 * kMiB).ok());
  GiveUpBallastIfFull(path);
  EXPECT_TRUE(fs::exists(path));
}

TEST(FindDiskSpaceTest, IsThatOfTheFileSystemAlsoBeforeThePathIsThere) {
  const TempDir dir;
  struct statvfs system;
  ASSERT_EQ(statvfs(dir.path().c_str(), &system), 0);
  for (const std::string& path : {dir.path(), dir.File("not/there/yet")}) {
    const auto space = FindDiskSpace(path);
    ASSERT_TRUE(space.ok()) << space.status();
    EXPECT_EQ(space->total_bytes, static_cast<int64_t>(system.f_blocks * system.f_frsize));
    EXPECT_GT(space->free_bytes, 0);
    EXPECT_LT(space->free_bytes, space->total_bytes);
  }
  EXPECT_TRUE(FindDiskSpace("relative").ok());
}

class KeepBallastTest : public testing::Test {
 protected:
  KeepBallastTest() : store_(dir_.File("data")) {}

  std::string path() const { return dir_.File("data/BALLAST"); }

  TempDir dir_;
  Store store_;
};

TEST_F(KeepBallastTest, IsMadeAgainAndDoesNotCount) {
  store_.options().disk_reserve_bytes = 64 * kMiB;
  store_.Open();
  EXPECT_FALSE(fs::exists(path())) << "an opening takes no space for it";
  store_.storage().KeepBallast();
  EXPECT_GE(AllocatedBytes(path()), 16 * kMiB);
  EXPECT_LT(store_.storage().DiskBytes(), 16 * kMiB);
  fs::remove(path());
  store_.storage().KeepBallast();
  EXPECT_GE(AllocatedBytes(path()), 16 * kMiB);
  store_.Reopen();
  EXPECT_TRUE(fs::exists(path()));
}

TEST_F(KeepBallastTest, IsNotMadeAtTheCostOfTheReserve) {
  store_.options().disk_reserve_bytes = kEndless;
  store_.Open();
  store_.storage().KeepBallast();
  EXPECT_FALSE(fs::exists(path()));
}

TEST_F(KeepBallastTest, WithoutAReserveThereIsNone) {
  store_.Open();
  store_.storage().KeepBallast();
  EXPECT_FALSE(fs::exists(path()));
}

class GiveBackSpaceTest : public OpenStoreTest {
 protected:
  static constexpr int kKeys = 200;

  void PutKeys() {
    for (int key = 0; key < kKeys; ++key) {
      Run(Put("key" + std::to_string(key),
              std::string(20 << 10, static_cast<char>('a' + key % 26))));
    }
  }
};

// An idle store compacts nothing, so without this they would stay for good.
TEST_F(GiveBackSpaceTest, WhatWasDeletedIsGivenBack) {
  PutKeys();
  store_.storage().PrepareToGiveBackSpace()();
  const int64_t full = store_.storage().DiskBytes();
  ASSERT_GT(full, kKeys * (20 << 10));
  Run(Txn({}, {DeleteRangeOp("", "")}));
  store_.Trim(store_.machine().applied().index.value());
  store_.storage().PrepareToGiveBackSpace()();
  EXPECT_LT(store_.storage().DiskBytes(), full / 4);
  store_.Reopen();
  EXPECT_TRUE(store_.Records().empty());
}

TEST_F(GiveBackSpaceTest, WhatLivesStays) {
  PutKeys();
  store_.storage().PrepareToGiveBackSpace()();
  EXPECT_EQ(store_.Records().size(), static_cast<size_t>(kKeys));
  store_.Reopen();
  EXPECT_EQ(store_.Records().size(), static_cast<size_t>(kKeys));
}

TEST_F(GiveBackSpaceTest, OnceStoppedItDoesNothingForLong) {
  PutKeys();
  store_.storage().StopGivingBackSpace();
  store_.storage().PrepareToGiveBackSpace()();
  EXPECT_EQ(store_.Records().size(), static_cast<size_t>(kKeys));
}

TEST(FitToReserveTest, SizesShrinkWithTheReserve) {
  const StorageOptions usual;
  StorageOptions options;
  options.disk_reserve_bytes = 1024 * kMiB;
  FitToReserve(&options);
  EXPECT_EQ(options.write_buffer_bytes, usual.write_buffer_bytes);
  EXPECT_EQ(options.log_write_buffer_bytes, usual.log_write_buffer_bytes);
  EXPECT_EQ(options.wal_bytes_max, usual.wal_bytes_max);
  options.disk_reserve_bytes = 64 * kMiB;
  FitToReserve(&options);
  EXPECT_EQ(options.write_buffer_bytes, 4U * kMiB);
  EXPECT_EQ(options.log_write_buffer_bytes, 4U * kMiB);
  EXPECT_EQ(options.wal_bytes_max, 16U * kMiB);
  options.disk_reserve_bytes = 1;
  FitToReserve(&options);
  EXPECT_EQ(options.write_buffer_bytes, 1U * kMiB);
  EXPECT_EQ(options.wal_bytes_max, 4U * kMiB);
}

}  // namespace
}  // namespace raftkv::storage
