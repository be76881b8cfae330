// Whose time a member takes, and what its entries are stamped with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

using ::testing::SizeIs;

TEST(DriverTimeTest, AnEntryIsStampedAfterItsBatchWasDrained) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  cluster.store(kOnly).HoldWrites();
  cluster.Propose(kOnly, "first");
  cluster.Settle();
  cluster.Propose(kOnly, "second");
  cluster.Tick(5);
  cluster.store(kOnly).ReleaseWrites();
  const ClusterMillis drained = cluster.driver(kOnly).Now();
  cluster.Settle();
  const std::vector<Entry>& entries = cluster.machine(kOnly).command_entries();
  ASSERT_THAT(entries, SizeIs(2));
  EXPECT_EQ(entries[1].stamp, drained);
  EXPECT_EQ(entries[1].stamp - entries[0].stamp, 50u);
}

TEST(DriverTimeTest, ClusterTimeTravelsWithTheLeadersMessages) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.Tick(100);
  const NodeId follower = cluster.Others(leader).front();
  cluster.Restart(follower);
  ASSERT_LT(cluster.driver(follower).Now(), cluster.driver(leader).Now());
  cluster.Tick(2);
  EXPECT_EQ(cluster.driver(follower).Now(), cluster.driver(leader).Now());
}

TEST(DriverTimeTest, ADeposedLeadersLateFrameMovesNoClock) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const Term term = cluster.driver(leader).core().term();
  for (const NodeId node : cluster.nodes()) {
    const ClusterMillis now = cluster.driver(node).Now();
    cluster.driver(node).ObserveClusterTime(Term(term.value() - 1), now + 1000);
    EXPECT_EQ(cluster.driver(node).Now(), now) << node;
  }
  const ClusterMillis now = cluster.driver(leader).Now();
  cluster.driver(leader).ObserveClusterTime(term, now + 1000);
  EXPECT_EQ(cluster.driver(leader).Now(), now) << "its own term";
}

// The member may lead next, with entries that were stamped by another clock.
TEST(DriverTimeTest, ALeaderWhoseEntriesAreMissingMovesNoClock) {
  DriverCluster cluster({});
  const NodeId follower = cluster.Others(cluster.AwaitLeader()).front();
  RaftDriver& driver = cluster.driver(follower);
  const Term next(driver.core().term().value() + 1);
  const ClusterMillis now = driver.Now();
  ASSERT_TRUE(driver
                  .Take({.from = cluster.Others(follower).back(),
                         .to = follower,
                         .term = next,
                         .message = Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)}})
                  .ok());
  ASSERT_EQ(driver.core().term(), next);
  driver.ObserveClusterTime(next, now + 1000);
  EXPECT_EQ(driver.Now(), now);
}

// Else two restarts in a row, of an idle cluster, would forget how long it had been idle.
TEST(DriverTimeTest, ATermBeginsWithTheTimeAndNotWithTheLastStamp) {
  DriverCluster cluster({.members = 1});
  const NodeId leader = cluster.AwaitLeader();
  const uint64_t elected_at = cluster.driver(leader).core().last_stamp().value();
  EXPECT_GT(elected_at, 0u);
  EXPECT_LE(elected_at, cluster.driver(leader).Now().value());
}

TEST(DriverTimeTest, ALeadersClockIsOfItsOwnTerm) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.Tick(2);
  const Term term = cluster.driver(leader).core().term();
  for (const NodeId node : cluster.nodes()) {
    EXPECT_EQ(cluster.driver(node).ReadClusterClock().term, term) << node;
  }
}

}  // namespace
}  // namespace raftkv::raft
