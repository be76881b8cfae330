// What a driver tells whoever counts.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::Gt;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

TEST(DriverObserverTest, HearsOfEachEntryThatTheLeaderMakes) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  cluster.ProposeMany(leader, 3);
  cluster.Settle();
  cluster.Propose(follower, std::string(1000, 'x'));
  cluster.Settle();
  EXPECT_THAT(cluster.tally(leader).proposed, ElementsAre(Pair(3U, Gt(6U)), Pair(1U, Gt(1000U))));
  EXPECT_THAT(cluster.tally(follower).proposed, IsEmpty()) << "another's work";
}

TEST(DriverObserverTest, HearsOfEntriesThatAreApplied) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.ProposeMany(leader, 3);
  cluster.Settle();
  for (const NodeId node : {NodeId(1), NodeId(2), NodeId(3)}) {
    EXPECT_EQ(cluster.tally(node).applied_entries,
              cluster.driver(node).core().applied_index().value());
    EXPECT_EQ(cluster.tally(node).apply_nanos, 0) << "time stands still";
  }
}

TEST(DriverObserverTest, HearsHowRequestsOfItsOwnClientsEnd) {
  DriverCluster cluster({.members = 1, .driver = {.proposals_max = 2}});
  cluster.AwaitLeader();
  cluster.ProposeMany(kOnly, 3);
  const auto read = cluster.Read(kOnly);
  EXPECT_EQ(cluster.driver(kOnly).Status().pending_proposals, 2U);
  EXPECT_EQ(cluster.driver(kOnly).Status().pending_reads, 1U);
  cluster.Settle();
  EXPECT_THAT(cluster.tally(kOnly).proposals,
              testing::UnorderedElementsAre(ProposalResult::kOverloaded, ProposalResult::kApplied,
                                            ProposalResult::kApplied));
  EXPECT_THAT(cluster.tally(kOnly).reads, ElementsAre(ReadResult::kReady));
  EXPECT_EQ(cluster.driver(kOnly).Status().pending_proposals, 0U);
  EXPECT_EQ(cluster.driver(kOnly).Status().pending_reads, 0U);
}

TEST(DriverObserverTest, AForwardedProposalIsItsOriginsAlone) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  cluster.Propose(follower, "a");
  cluster.Settle();
  EXPECT_THAT(cluster.tally(follower).proposals, SizeIs(1));
  EXPECT_THAT(cluster.tally(leader).proposals, IsEmpty());
}

}  // namespace
}  // namespace raftkv::raft
