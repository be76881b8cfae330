// Disks that are nearly full: who hears of them, how soon, and who forgets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// One tick until the leader's next heartbeat, which is answered at once, one until the one that
// tells the others.
constexpr uint64_t kTicksToTellAll = 2;

class DriverDiskTest : public testing::Test {
 protected:
  DriverDiskTest() : leader_(cluster_.AwaitLeader()), follower_(cluster_.Others(leader_).front()) {}

  std::vector<NodeId> LowAt(NodeId node) { return cluster_.driver(node).Status().low_on_disk; }
  void ExpectLowEverywhere(const std::vector<NodeId>& low) {
    for (const NodeId node : cluster_.nodes()) {
      EXPECT_EQ(LowAt(node), low) << "member " << node;
    }
  }

  DriverCluster cluster_{DriverClusterOptions{}};
  const NodeId leader_;
  const NodeId follower_;
};

TEST_F(DriverDiskTest, AllHearOfAFollowersDiskAndThatItHasSpaceAgain) {
  cluster_.driver(follower_).SetLowOnDisk(true);
  EXPECT_THAT(LowAt(follower_), ElementsAre(follower_)) << "it knows that of itself at once";
  EXPECT_THAT(LowAt(leader_), IsEmpty());
  cluster_.Tick(kTicksToTellAll);
  ExpectLowEverywhere({follower_});
  cluster_.driver(follower_).SetLowOnDisk(false);
  cluster_.Tick(kTicksToTellAll);
  ExpectLowEverywhere({});
}

TEST_F(DriverDiskTest, AllHearOfTheLeadersDisk) {
  cluster_.driver(leader_).SetLowOnDisk(true);
  cluster_.Tick();
  ExpectLowEverywhere({leader_});
  cluster_.driver(leader_).SetLowOnDisk(false);
  cluster_.Tick();
  ExpectLowEverywhere({});
}

TEST_F(DriverDiskTest, AMemberThatIsAwayHoldsNobodyUp) {
  const NodeId other = cluster_.Others(leader_).back();
  cluster_.driver(follower_).SetLowOnDisk(true);
  cluster_.Tick(kTicksToTellAll);
  cluster_.Isolate(follower_);
  cluster_.Tick(5);
  EXPECT_THAT(LowAt(other), ElementsAre(follower_)) << "not for every lost packet";
  cluster_.Tick(10);
  EXPECT_THAT(LowAt(leader_), IsEmpty());
  EXPECT_THAT(LowAt(other), IsEmpty());
  EXPECT_THAT(LowAt(follower_), ElementsAre(follower_));
  cluster_.Heal();
  cluster_.AwaitLeader();
  cluster_.Tick(kTicksToTellAll);
  ExpectLowEverywhere({follower_});
}

TEST_F(DriverDiskTest, ANewLeaderKnowsOnlyWhatItIsTold) {
  cluster_.driver(leader_).SetLowOnDisk(true);
  cluster_.Tick(kTicksToTellAll);
  cluster_.Isolate(leader_);
  const NodeId next = cluster_.AwaitLeader();
  cluster_.Tick(kTicksToTellAll);
  for (const NodeId node : cluster_.Others(leader_)) {
    EXPECT_THAT(LowAt(node), IsEmpty());
  }
  cluster_.Heal();
  EXPECT_EQ(cluster_.AwaitLeader(), next);
  cluster_.Tick(kTicksToTellAll);
  ExpectLowEverywhere({leader_});
}

TEST_F(DriverDiskTest, AFollowerWithoutALeaderKnowsOnlyOfItself) {
  cluster_.driver(leader_).SetLowOnDisk(true);
  cluster_.Tick(kTicksToTellAll);
  ASSERT_THAT(LowAt(follower_), ElementsAre(leader_));
  cluster_.Isolate(follower_);
  ASSERT_TRUE(
      cluster_.TickUntil([&] { return cluster_.driver(follower_).core().leader() == kNobody; }));
  EXPECT_THAT(LowAt(follower_), IsEmpty());
}

TEST_F(DriverDiskTest, EachChangeIsObservedOnce) {
  EXPECT_THAT(cluster_.low_on_disk(leader_), IsEmpty());
  cluster_.driver(follower_).SetLowOnDisk(true);
  cluster_.Tick(10);
  cluster_.driver(follower_).SetLowOnDisk(false);
  cluster_.Tick(10);
  for (const NodeId node : cluster_.nodes()) {
    EXPECT_THAT(cluster_.low_on_disk(node), ElementsAre(ElementsAre(follower_), IsEmpty()));
  }
}

// Otherwise its log would take what deletes need.
TEST(DriverDiskTrimTest, AMemberThatIsLowTrimsItsLogToAQuarter) {
  DriverCluster cluster({.driver = {.log_bytes_max = 40'000}});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  const auto write = [&](int entries) {
    for (int i = 0; i < entries; ++i) {
      cluster.Propose(leader, std::string(1000, 'v'));
      cluster.Settle();
    }
    cluster.Tick(300);
  };
  const auto kept = [&](NodeId node) {
    return cluster.driver(node).core().last_entry().index - cluster.store(node).previous().index;
  };
  write(100);
  const uint64_t usual = kept(leader);
  cluster.driver(follower).SetLowOnDisk(true);
  write(8);
  EXPECT_EQ(kept(leader), usual + 8) << "it is no matter of its own disk";
  EXPECT_LE(kept(follower), 4U);
}

}  // namespace
}  // namespace raftkv::raft
