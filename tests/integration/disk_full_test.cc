// A disk that gets full: puts are refused in time, all that frees space goes on, and nobody has to
// abort for it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/rng.h"
#include "tests/support/small_disk.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;

constexpr int kDiskMiB = 128;
// What a foreign file leaves: less than the reserve of 32 MiB.
constexpr int64_t kLeftBytes = 12 * kMiB;
constexpr size_t kNodes = 3;
// How long writes press on, and for how long at most nobody refuses them.
constexpr Millis kFillFor(8000);
constexpr Millis kFillMax(60'000);
constexpr Millis kRefusedPause(20);

class DiskFullTest : public testing::Test {
 protected:
  void SetUp() override {
    for (size_t node = 0; node < kNodes; ++node) {
      disks_.push_back(std::make_unique<SmallDisk>(cluster_.data_dir(node), kDiskMiB));
      if (!disks_.back()->mounted()) {
        GTEST_SKIP() << "cannot mount a tmpfs: " << disks_.back()->error();
      }
    }
    ASSERT_TRUE(cluster_.StartAll());
  }

  Reply<v1::DeleteRangeResponse> DeleteAll(size_t node) {
    return cluster_.client(node).DeleteRange(Proto<v1::DeleteRangeRequest>("range { prefix: '' }"));
  }
  bool AwaitPutsRefused(size_t node) {
    return WaitUntil(Millis(10000), [&] {
      return cluster_.client(node).PutText("probe", "1").reason == "DISK_FULL";
    });
  }
  bool AwaitPutsTaken(size_t node) {
    return WaitUntil(Millis(15000),
                     [&] { return cluster_.client(node).PutText("probe", "1").ok(); });
  }
  std::string Warnings(size_t node) {
    return absl::StrJoin(cluster_.client(node).GetStatus()->warnings(), "; ");
  }
  void ExpectAllRun() {
    for (size_t node = 0; node < kNodes; ++node) {
      EXPECT_TRUE(cluster_.server(node).running()) << cluster_.server(node).LogTail();
    }
  }

  TestCluster cluster_{
      {.size = kNodes, .flags = {"--disk_reserve_bytes=32MiB", "--log_bytes_max=8MiB"}}};
  // Gone before the cluster, whose folders they lie over.
  std::vector<std::unique_ptr<SmallDisk>> disks_;
};

TEST_F(DiskFullTest, OneFullDiskRefusesPutsEverywhereAndNothingElse) {
  const size_t full = cluster_.Other(*cluster_.WaitForLeader());
  const std::string name = TestCluster::Name(full);
  for (size_t node = 0; node < kNodes; ++node) {
    ASSERT_TRUE(cluster_.client(node).PutText(absl::StrCat("key", node), "1").ok());
  }
  ASSERT_TRUE(cluster_.client(0).PutWithTtl("short", "1", Millis(3000)).ok());
  disks_[full]->Fill(kLeftBytes);
  for (size_t node = 0; node < kNodes; ++node) {
    ASSERT_TRUE(AwaitPutsRefused(node)) << TestCluster::Name(node);
    const auto put = cluster_.client(node).PutText("new", "1");
    EXPECT_EQ(put.status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << put;
    EXPECT_EQ(put.Meta("member"), name) << put;
    EXPECT_THAT(put.status.error_message(), HasSubstr(absl::StrCat("\"", name, "\"")));
    EXPECT_THAT(Warnings(node), HasSubstr(absl::StrCat("\"", name, "\" has less than its")));
    // Said with the next look at deadlines.
    EXPECT_TRUE(WaitUntil(Millis(2000), [&] {
      return absl::StrContains(cluster_.server(node).Log(), "puts are refused, because");
    })) << cluster_.server(node).LogTail();

    EXPECT_FALSE(cluster_.client(node).GetText("new")->has_kv()) << "a refused put happened";
    const std::string key = absl::StrCat("key", node);
    const auto removed =
        cluster_.client(node).Delete(Proto<v1::DeleteRequest>("key: '" + key + "'"));
    EXPECT_TRUE(removed.ok() && removed->deleted()) << removed;
  }
  EXPECT_THAT(cluster_.server(full).Log(), HasSubstr("this member's disk is nearly full"));
  EXPECT_TRUE(WaitUntil(Millis(8000), [&] {
    return !cluster_.client(0).GetText("short")->has_kv();
  })) << "nothing expires";
  disks_[full]->Free();
  for (size_t node = 0; node < kNodes; ++node) {
    EXPECT_TRUE(AwaitPutsTaken(node)) << TestCluster::Name(node);
    EXPECT_EQ(Warnings(node), "");
  }
  EXPECT_THAT(cluster_.server(full).Log(), HasSubstr("this member's disk has space again"));
  ExpectAllRun();
}

// The last puts before the refusal, flushes and compactions all live on the reserve.
TEST_F(DiskFullTest, WritesFillTheDisksAndDeletesMakeThemRunAgain) {
  // Else compactions would fit ever more in.
  Rng rng(1);
  std::string value(64 << 10, ' ');
  const auto renew = [&] {
    std::generate(value.begin(), value.end(),
                  [&rng] { return static_cast<char>('!' + rng.Below(94)); });
  };
  int taken = 0;
  int refused = 0;
  const Clock::time_point start = Clock::now();
  // What is given back meanwhile lets some more in, again and again.
  for (int i = 0; refused == 0 || Since(start) < kFillFor; ++i) {
    ASSERT_LT(Since(start), kFillMax) << "it does not get full: " << taken << " taken";
    renew();
    const auto put = cluster_.client(0).PutText(absl::StrCat("key", i), value);
    if (put.ok()) {
      ++taken;
    } else {
      ASSERT_EQ(put.reason, "DISK_FULL") << put;
      ++refused;
      std::this_thread::sleep_for(kRefusedPause);
    }
  }
  ExpectAllRun();
  EXPECT_GT(taken, 200);
  const auto removed = DeleteAll(1);
  ASSERT_TRUE(removed.ok()) << removed;
  EXPECT_EQ(removed->deleted(), taken);
  EXPECT_TRUE(AwaitPutsTaken(0)) << "what was deleted still takes space";
  ExpectAllRun();
  EXPECT_TRUE(cluster_.WaitUntilEqual());
}

TEST_F(DiskFullTest, AMemberStartsOnAFullDiskByGivingUpItsBallast) {
  const size_t full = cluster_.Other(*cluster_.WaitForLeader());
  const std::string ballast = cluster_.data_dir(full) + "/BALLAST";
  ASSERT_TRUE(cluster_.client(full).PutText("key", "1").ok());
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] { return std::filesystem::exists(ballast); }));
  ASSERT_EQ(cluster_.server(full).Stop(), ExitStatus{.code = 0});
  disks_[full]->Fill(0);
  ASSERT_EQ(disks_[full]->free_bytes(), 0);

  ASSERT_TRUE(cluster_.Start(full));
  EXPECT_THAT(cluster_.server(full).Log(), HasSubstr("is given up to start at all"));
  EXPECT_FALSE(std::filesystem::exists(ballast));
  ASSERT_TRUE(cluster_.WaitForLeader().has_value());
  ASSERT_TRUE(AwaitPutsRefused(full));
  const auto removed = DeleteAll(full);
  ASSERT_TRUE(removed.ok()) << removed;
  EXPECT_TRUE(cluster_.WaitUntilEqual());
  disks_[full]->Free();
  EXPECT_TRUE(AwaitPutsTaken(full));
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] { return std::filesystem::exists(ballast); }))
      << "it is not made again";
  ExpectAllRun();
}

}  // namespace
}  // namespace raftkv::integration
