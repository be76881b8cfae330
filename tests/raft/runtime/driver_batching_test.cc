// What becomes one entry, and what waits or is refused because there is too much.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "raft/runtime/command_batch.h"
#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

// Commands in each entry of commands that `machine` applied.
std::vector<size_t> EntrySizes(const RecordingStateMachine& machine) {
  std::vector<size_t> sizes;
  for (const Entry& entry : machine.command_entries()) {
    CommandBatchReader reader(*entry.payload);
    sizes.push_back(0);
    while (reader.Next()) {
      ++sizes.back();
    }
  }
  return sizes;
}

TEST(DriverBatchingTest, TheNextBatchGathersWhileAnEntryIsNotCommitted) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  cluster.store(kOnly).HoldWrites();
  cluster.Propose(kOnly, "first");
  cluster.Settle();
  const auto probes = cluster.ProposeMany(kOnly, 20);
  cluster.Settle();
  EXPECT_EQ(cluster.driver(kOnly).core().uncommitted_entries(), 1u);
  cluster.store(kOnly).ReleaseWrites();
  cluster.Settle();
  EXPECT_THAT(EntrySizes(cluster.machine(kOnly)), ElementsAre(1u, 20u));
  EXPECT_EQ(probes.back()->result, ProposalResult::kApplied);
}

TEST(DriverBatchingTest, MoreThanOneUncommittedEntryIsASetting) {
  DriverCluster cluster({.members = 1, .driver = {.uncommitted_entries_max = 3}});
  cluster.AwaitLeader();
  cluster.store(kOnly).HoldWrites();
  for (int i = 0; i < 5; ++i) {
    cluster.Propose(kOnly, "c");
    cluster.Settle();
  }
  EXPECT_EQ(cluster.driver(kOnly).core().uncommitted_entries(), 3u);
  cluster.store(kOnly).ReleaseWrites();
  cluster.Settle();
  EXPECT_THAT(EntrySizes(cluster.machine(kOnly)), ElementsAre(1u, 1u, 1u, 2u));
}

TEST(DriverBatchingTest, ACommandThatFillsAnEntryWaitsForNoOthers) {
  DriverCluster cluster({.driver = {.uncommitted_large_entries_max = 3, .entry_bytes_max = 100}});
  const NodeId leader = cluster.AwaitLeader();
  cluster.SetHold([](NodeId, NodeId, Traffic) { return true; });
  for (int i = 0; i < 5; ++i) {
    cluster.Propose(leader, std::string(100, 'x'));
  }
  cluster.Settle();
  EXPECT_EQ(cluster.driver(leader).core().uncommitted_entries(), 3u);
  EXPECT_FALSE(cluster.driver(leader).RunTurn()) << "it would spin";
  cluster.SetHold(nullptr);
  cluster.Settle();
  EXPECT_THAT(EntrySizes(cluster.machine(leader)), ElementsAre(1u, 1u, 1u, 1u, 1u));
}

TEST(DriverBatchingTest, AnEntryHasAtMostSoManyCommandsAndBytes) {
  DriverCluster cluster(
      {.members = 1, .driver = {.entry_commands_max = 3, .entry_bytes_max = 100}});
  cluster.AwaitLeader();
  cluster.ProposeMany(kOnly, 4);
  cluster.Propose(kOnly, std::string(60, 'x'));
  cluster.Propose(kOnly, std::string(60, 'y'));
  cluster.Propose(kOnly, std::string(1000, 'z'));
  cluster.Settle();
  // c0 c1 c2; c3 and the x; the y; the z, which is too large and therefore alone.
  EXPECT_THAT(EntrySizes(cluster.machine(kOnly)), ElementsAre(3u, 2u, 1u, 1u));
}

TEST(DriverBatchingTest, OwnAndForwardedProposalsTakeTurns) {
  DriverCluster cluster({.driver = {.entry_commands_max = 4, .leader_wait = kNanosPerSecond}});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  // Nothing commits until both queues are full, so that they compete.
  cluster.SetHold([](NodeId, NodeId, Traffic traffic) { return traffic == Traffic::kRaft; });
  cluster.Propose(leader, "first");
  cluster.Settle();
  for (int i = 0; i < 8; ++i) {
    cluster.Propose(leader, "own");
  }
  for (int i = 0; i < 4; ++i) {
    cluster.Propose(follower, "foreign");
  }
  cluster.Settle();
  cluster.SetHold(nullptr);
  cluster.Settle();
  const std::vector<std::string>& commands = cluster.machine(leader).commands();
  ASSERT_THAT(commands, SizeIs(13));
  EXPECT_EQ(std::count(commands.begin() + 1, commands.begin() + 9, "foreign"), 4);
}

TEST(DriverBatchingTest, WhatTheLogHasNoRoomForWaitsInOrder) {
  DriverCluster cluster(
      {.members = 1, .driver = {.uncommitted_entries_max = 10}, .uncommitted_bytes_max = 1 << 20});
  cluster.AwaitLeader();
  cluster.store(kOnly).HoldWrites();
  std::vector<std::shared_ptr<ProposalProbe>> probes;
  std::vector<std::string> expected;
  for (const char letter : {'a', 'b', 'c'}) {
    expected.emplace_back(600 << 10, letter);
    probes.push_back(cluster.Propose(kOnly, expected.back()));
    cluster.Settle();
  }
  EXPECT_EQ(cluster.driver(kOnly).core().uncommitted_entries(), 1u);
  EXPECT_FALSE(cluster.driver(kOnly).RunTurn()) << "it would spin";
  cluster.store(kOnly).ReleaseWrites();
  cluster.Settle();
  EXPECT_EQ(cluster.machine(kOnly).commands(), expected);
  EXPECT_EQ(probes.back()->result, ProposalResult::kApplied);
}

TEST(DriverBatchingTest, ProposalsBeyondTheBoundAreOverloaded) {
  DriverCluster cluster({.members = 1, .driver = {.proposals_max = 2}});
  cluster.AwaitLeader();
  cluster.store(kOnly).HoldWrites();
  const auto in_log = cluster.Propose(kOnly, "in log");
  cluster.Settle();
  const auto waiting = cluster.Propose(kOnly, "waiting");
  const auto refused = cluster.Propose(kOnly, "refused");
  cluster.Settle();
  EXPECT_EQ(refused->result, ProposalResult::kOverloaded);
  cluster.store(kOnly).ReleaseWrites();
  cluster.Settle();
  EXPECT_EQ(in_log->result, ProposalResult::kApplied);
  EXPECT_EQ(waiting->result, ProposalResult::kApplied);
  EXPECT_THAT(cluster.machine(kOnly).commands(), ElementsAre("in log", "waiting"));

  const auto later = cluster.Propose(kOnly, "later");
  cluster.Settle();
  EXPECT_EQ(later->result, ProposalResult::kApplied) << "room is given back";
}

TEST(DriverBatchingTest, ProposalBytesBeyondTheBoundAreOverloaded) {
  DriverCluster cluster({.members = 1, .driver = {.proposal_bytes_max = 100}});
  cluster.AwaitLeader();
  cluster.store(kOnly).HoldWrites();
  const auto first = cluster.Propose(kOnly, std::string(70, 'a'));
  const auto refused = cluster.Propose(kOnly, std::string(31, 'b'));
  const auto fits = cluster.Propose(kOnly, std::string(30, 'c'));
  cluster.store(kOnly).ReleaseWrites();
  cluster.Settle();
  EXPECT_EQ(first->result, ProposalResult::kApplied);
  EXPECT_EQ(refused->result, ProposalResult::kOverloaded);
  EXPECT_EQ(fits->result, ProposalResult::kApplied);
}

TEST(DriverBatchingTest, ReadsBeyondTheBoundAreOverloaded) {
  DriverCluster cluster({.members = 1, .driver = {.reads_max = 2}});
  cluster.AwaitLeader();
  const auto first = cluster.Read(kOnly);
  const auto second = cluster.Read(kOnly);
  const auto refused = cluster.Read(kOnly);
  cluster.Settle();
  EXPECT_EQ(first->result, ReadResult::kReady);
  EXPECT_EQ(second->result, ReadResult::kReady);
  EXPECT_EQ(refused->result, ReadResult::kOverloaded);
  const auto later = cluster.Read(kOnly);
  cluster.Settle();
  EXPECT_EQ(later->result, ReadResult::kReady) << "room is given back";
}

}  // namespace
}  // namespace raftkv::raft
