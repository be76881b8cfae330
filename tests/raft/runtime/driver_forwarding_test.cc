// What followers hand to their leader: how much at once, and what becomes of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

// Sequence numbers of what `follower` forwarded since the last call, without delivering it.
std::vector<uint64_t> TakeForwarded(DriverCluster* cluster, NodeId follower) {
  std::vector<uint64_t> sequences;
  for (const FakeTransport::SentForward& sent : cluster->transport(follower).TakeRequests()) {
    for (const Proposal& proposal : sent.request.proposals) {
      sequences.push_back(proposal.sequence);
    }
  }
  return sequences;
}

TEST(DriverForwardingTest, AFullLeaderRefusesForwardedProposals) {
  DriverCluster cluster({.driver = {.proposals_max = 3}});
  const NodeId leader = cluster.AwaitLeader();
  const std::vector<NodeId> followers = cluster.Others(leader);
  cluster.SetHold([](NodeId, NodeId, Traffic traffic) { return traffic == Traffic::kRaft; });
  cluster.Propose(leader, "under way");
  cluster.Settle();
  const auto probes = cluster.ProposeMany(followers[0], 3);
  cluster.Settle();
  EXPECT_FALSE(probes[1]->result.has_value());
  EXPECT_EQ(probes[2]->result, ProposalResult::kOverloaded);
  cluster.SetHold(nullptr);
  cluster.Settle();
  EXPECT_EQ(probes[0]->result, ProposalResult::kApplied);
  EXPECT_EQ(probes[1]->result, ProposalResult::kApplied);
  EXPECT_THAT(cluster.machine(leader).commands(), ElementsAre("under way", "c0", "c1"));
}

TEST(DriverForwardingTest, NothingIsTakenFromWhoIsOnItsWayOut) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId goes = cluster.Others(leader).front();
  const NodeId stays = cluster.Others(leader).back();
  const auto before = cluster.Propose(goes, "before");
  cluster.Settle();
  Configuration joint{.voters = {leader, stays},
                      .outgoing_voters = cluster.driver(leader).core().configuration().voters,
                      .learners = {}};
  ASSERT_TRUE(cluster.driver(leader).ProposeConfiguration(std::move(joint), "record").ok());
  const auto after = cluster.Propose(goes, "after");
  const auto other = cluster.Propose(stays, "other");
  cluster.Tick(100);
  EXPECT_EQ(before->result, ProposalResult::kApplied);
  EXPECT_EQ(after->result, ProposalResult::kNoLeader) << "and so it may be tried elsewhere";
  EXPECT_EQ(other->result, ProposalResult::kApplied);
  EXPECT_THAT(cluster.machine(leader).commands(), ElementsAre("before", "other"));
}

TEST(DriverForwardingTest, ALargeBacklogIsForwardedInSeveralFrames) {
  DriverCluster cluster({.driver = {.entry_commands_max = 4, .entry_bytes_max = 100}});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  for (int i = 0; i < 6; ++i) {
    cluster.Propose(follower, "x");
  }
  cluster.Propose(follower, std::string(90, 'y'));
  cluster.Propose(follower, std::string(90, 'z'));
  cluster.driver(follower).RunTurn();
  const std::vector<FakeTransport::SentForward> sent = cluster.transport(follower).TakeRequests();
  std::vector<size_t> sizes;
  for (const FakeTransport::SentForward& forward : sent) {
    sizes.push_back(forward.request.proposals.size());
  }
  EXPECT_THAT(sizes, ElementsAre(4u, 3u, 1u));
}

TEST(DriverForwardingTest, OnlyAWindowOfProposalsIsForwarded) {
  DriverCluster cluster({.driver = {.forwarded_max = 2}});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  const auto probes = cluster.ProposeMany(follower, 5);
  EXPECT_FALSE(cluster.driver(follower).RunTurn()) << "it would spin";
  EXPECT_THAT(TakeForwarded(&cluster, follower), SizeIs(2));
  // Those two got lost without a word; what waits is refused for certain when its time is up.
  cluster.Tick(1100);
  EXPECT_EQ(probes[0]->result, ProposalResult::kOutcomeUnknown);
  EXPECT_EQ(probes[1]->result, ProposalResult::kOutcomeUnknown);
  EXPECT_EQ(probes[2]->result, ProposalResult::kOverloaded);
}

TEST(DriverForwardingTest, TheForwardWindowOpensAsOutcomesAreApplied) {
  DriverCluster cluster({.driver = {.forwarded_max = 2, .forwarded_bytes_max = 100}});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  std::vector<std::shared_ptr<ProposalProbe>> probes;
  for (const size_t bytes : {60, 60, 300, 10, 10, 10}) {
    probes.push_back(cluster.Propose(follower, std::string(bytes, 'x')));
  }
  cluster.Settle();
  for (const auto& probe : probes) {
    EXPECT_EQ(probe->result, ProposalResult::kApplied) << probe->command.size();
  }
}

TEST(DriverForwardingTest, TheForwardWindowIsOfBytesButForASingleProposal) {
  DriverCluster cluster({.driver = {.forwarded_bytes_max = 100}});
  const NodeId follower = cluster.Others(cluster.AwaitLeader()).front();
  cluster.Propose(follower, std::string(300, 'a'));
  cluster.Propose(follower, "b");
  cluster.driver(follower).RunTurn();
  EXPECT_THAT(TakeForwarded(&cluster, follower), SizeIs(1));
}

TEST(DriverForwardingTest, WhatATransportHasNoRoomForWaitsUnbound) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  cluster.transport(follower).SetForwardRoom(leader, false);
  const auto waiting = cluster.Propose(follower, "waiting", 50 * kNanosPerMilli);
  const auto read = cluster.Read(follower);
  cluster.Settle();
  EXPECT_EQ(read->result, ReadResult::kReady) << "reads are small";
  cluster.Tick(6);
  EXPECT_EQ(waiting->result, ProposalResult::kOverloaded);
  const auto later = cluster.Propose(follower, "later");
  cluster.Settle();
  cluster.transport(follower).SetForwardRoom(leader, true);
  cluster.Settle();
  EXPECT_EQ(later->result, ProposalResult::kApplied);
}

TEST(DriverForwardingTest, WhatWasOnABrokenStreamLeavesTheForwardWindow) {
  DriverCluster cluster({.driver = {.forwarded_max = 2}});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  const auto probes = cluster.ProposeMany(follower, 4);
  cluster.driver(follower).RunTurn();
  EXPECT_THAT(TakeForwarded(&cluster, follower), SizeIs(2));
  cluster.LoseForwardStream(follower, leader);
  cluster.Settle();
  EXPECT_FALSE(probes[1]->result.has_value());
  EXPECT_EQ(probes[2]->result, ProposalResult::kApplied);
  EXPECT_EQ(probes[3]->result, ProposalResult::kApplied);
}

TEST(DriverForwardingTest, AStreamToNoLeaderLeavesTheForwardWindowAsItIs) {
  DriverCluster cluster({.driver = {.forwarded_max = 2}});
  const std::vector<NodeId> followers = cluster.Others(cluster.AwaitLeader());
  cluster.ProposeMany(followers[0], 4);
  cluster.driver(followers[0]).RunTurn();
  EXPECT_THAT(TakeForwarded(&cluster, followers[0]), SizeIs(2));
  cluster.driver(followers[0]).OnForwardLost(followers[1]);
  cluster.driver(followers[0]).RunTurn();
  EXPECT_THAT(TakeForwarded(&cluster, followers[0]), IsEmpty());
}

// Whoever looks first must not keep the news: what a leader had of its own is not under way to the
// next one.
TEST(DriverForwardingTest, AChangeOfLeadersThatATickSeesFirstIsNoted) {
  DriverCluster cluster({});
  const NodeId old_leader = cluster.AwaitLeader();
  cluster.store(old_leader).HoldWrites();
  RaftDriver& driver = cluster.driver(old_leader);
  cluster.ProposeMany(old_leader, 2);
  driver.RunTurn();
  const NodeId next_leader = cluster.Others(old_leader).front();
  ASSERT_TRUE(driver
                  .Take({.from = next_leader,
                         .to = old_leader,
                         .term = Term(driver.core().term().value() + 1),
                         .message = Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)}})
                  .ok());
  ASSERT_EQ(driver.core().leader(), next_leader);
  driver.Tick();
  driver.RunTurn();
  EXPECT_EQ(driver.pending_requests(), 2u);
  EXPECT_EQ(driver.forwarded_proposals(), 0u);
}

// What became of what the old one got is learnt only as entries of the new one are applied.
TEST(DriverForwardingTest, ANewLeaderHasAForwardWindowOfItsOwn) {
  DriverCluster cluster({.driver = {.forwarded_max = 2}});
  const NodeId old_leader = cluster.AwaitLeader();
  for (const NodeId node : cluster.Others(old_leader)) {
    cluster.machine(node).TakeAtMost(0);
    cluster.ProposeMany(node, 4);
    cluster.driver(node).RunTurn();
    EXPECT_THAT(TakeForwarded(&cluster, node), SizeIs(2));
    for (const NodeId other : cluster.Others(node)) {
      cluster.transport(node).SetForwardRoom(other, false);
    }
  }
  // The streams to it stand, but it is not heard any more.
  cluster.SetHold([old_leader](NodeId from, NodeId, Traffic) { return from == old_leader; });
  NodeId follower = kNobody;
  NodeId leader = kNobody;
  ASSERT_TRUE(cluster.TickUntil([&] {
    for (const NodeId node : cluster.Others(old_leader)) {
      leader = cluster.driver(node).core().leader();
      follower = node;
      if (leader != kNobody && leader != old_leader && leader != node) {
        return true;
      }
    }
    return false;
  }));
  cluster.transport(follower).SetForwardRoom(leader, true);
  cluster.driver(follower).RunTurn();
  EXPECT_THAT(TakeForwarded(&cluster, follower), SizeIs(2));
}

}  // namespace
}  // namespace raftkv::raft
