// A driver where nothing goes wrong: requests on any member, batching, applying, bounds, stop.
#include "raft/runtime/raft_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "raft/runtime/command_batch.h"
#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr NodeId kOnly{1};

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

std::vector<std::shared_ptr<ProposalProbe>> ProposeMany(DriverCluster* cluster, NodeId node,
                                                        int count) {
  std::vector<std::shared_ptr<ProposalProbe>> probes;
  for (int i = 0; i < count; ++i) {
    probes.push_back(cluster->Propose(node, "c" + std::to_string(i)));
  }
  return probes;
}

TEST(RaftDriverTest, SingleMemberWritesAndReads) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  const auto write = cluster.Propose(kOnly, "a");
  const auto read = cluster.Read(kOnly);
  EXPECT_EQ(cluster.driver(kOnly).pending_requests(), 2u);
  cluster.Settle();
  EXPECT_EQ(write->result, ProposalResult::kApplied);
  EXPECT_EQ(write->outcome, "done a");
  EXPECT_EQ(read->result, ReadResult::kReady);
  EXPECT_EQ(cluster.driver(kOnly).pending_requests(), 0u);
}

TEST(RaftDriverTest, WritesOnAnyMemberReachAllOnce) {
  DriverCluster cluster({});
  cluster.AwaitLeader();
  for (const NodeId node : cluster.nodes()) {
    const auto write = cluster.Propose(node, "from " + std::to_string(node.value()));
    cluster.Settle();
    EXPECT_EQ(write->result, ProposalResult::kApplied) << node;
    EXPECT_EQ(write->outcome, "done " + write->command) << node;
  }
  for (const NodeId node : cluster.nodes()) {
    EXPECT_THAT(cluster.machine(node).commands(), ElementsAre("from 1", "from 2", "from 3"));
  }
}

TEST(RaftDriverTest, ReadsOnAnyMemberSeeWhatWasAcknowledged) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.Propose(leader, "a");
  cluster.Settle();
  const LogIndex written = cluster.machine(leader).applied().index;
  for (const NodeId node : cluster.nodes()) {
    const auto read = cluster.Read(node);
    cluster.Settle();
    EXPECT_EQ(read->result, ReadResult::kReady) << node;
    EXPECT_GE(read->applied, written) << node;
  }
}

TEST(RaftDriverTest, AReadWaitsUntilItsIndexIsApplied) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  cluster.machine(follower).TakeAtMost(0);
  cluster.Propose(leader, "a");
  cluster.Settle();
  const LogIndex written = cluster.machine(leader).applied().index;
  const auto read = cluster.Read(follower);
  cluster.Tick(3);
  EXPECT_FALSE(read->result.has_value());
  cluster.machine(follower).TakeAll();
  cluster.Settle();
  EXPECT_EQ(read->result, ReadResult::kReady);
  EXPECT_GE(read->applied, written);
}

TEST(RaftDriverTest, ReadsOfOneTurnShareOneRequest) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  std::vector<std::shared_ptr<ReadProbe>> reads;
  for (int i = 0; i < 50; ++i) {
    reads.push_back(cluster.Read(follower));
  }
  cluster.Propose(follower, "a");
  cluster.driver(follower).RunTurn();
  const std::vector<FakeTransport::SentForward> sent = cluster.transport(follower).TakeRequests();
  ASSERT_THAT(sent, SizeIs(1));
  EXPECT_EQ(sent[0].to, leader);
  EXPECT_EQ(sent[0].request.term, cluster.driver(leader).core().term());
  EXPECT_THAT(sent[0].request.proposals, SizeIs(1));
  ASSERT_THAT(sent[0].request.reads, SizeIs(1));

  cluster.driver(leader).OnForwardRequest(follower, sent[0].request);
  cluster.Settle();
  EXPECT_TRUE(std::all_of(reads.begin(), reads.end(),
                          [](const auto& read) { return read->result == ReadResult::kReady; }));
}

TEST(RaftDriverTest, TheNextBatchGathersWhileAnEntryIsNotCommitted) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  cluster.store(kOnly).HoldWrites();
  cluster.Propose(kOnly, "first");
  cluster.Settle();
  const auto probes = ProposeMany(&cluster, kOnly, 20);
  cluster.Settle();
  EXPECT_EQ(cluster.driver(kOnly).core().uncommitted_entries(), 1u);
  cluster.store(kOnly).ReleaseWrites();
  cluster.Settle();
  EXPECT_THAT(EntrySizes(cluster.machine(kOnly)), ElementsAre(1u, 20u));
  EXPECT_EQ(probes.back()->result, ProposalResult::kApplied);
}

TEST(RaftDriverTest, MoreThanOneUncommittedEntryIsASetting) {
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

TEST(RaftDriverTest, ACommandThatFillsAnEntryWaitsForNoOthers) {
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

TEST(RaftDriverTest, AnEntryHasAtMostSoManyCommandsAndBytes) {
  DriverCluster cluster(
      {.members = 1, .driver = {.entry_commands_max = 3, .entry_bytes_max = 100}});
  cluster.AwaitLeader();
  ProposeMany(&cluster, kOnly, 4);
  cluster.Propose(kOnly, std::string(60, 'x'));
  cluster.Propose(kOnly, std::string(60, 'y'));
  cluster.Propose(kOnly, std::string(1000, 'z'));
  cluster.Settle();
  // c0 c1 c2; c3 and the x; the y; the z, which is too large and therefore alone.
  EXPECT_THAT(EntrySizes(cluster.machine(kOnly)), ElementsAre(3u, 2u, 1u, 1u));
}

TEST(RaftDriverTest, OwnAndForwardedProposalsTakeTurns) {
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

TEST(RaftDriverTest, AnEntryIsStampedAfterItsBatchWasDrained) {
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

TEST(RaftDriverTest, ClusterTimeTravelsWithTheLeadersMessages) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.Tick(100);
  const NodeId follower = cluster.Others(leader).front();
  cluster.Restart(follower);
  ASSERT_LT(cluster.driver(follower).Now(), cluster.driver(leader).Now());
  cluster.Tick(2);
  EXPECT_EQ(cluster.driver(follower).Now(), cluster.driver(leader).Now());
}

TEST(RaftDriverTest, ADeposedLeadersLateFrameMovesNoClock) {
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
TEST(RaftDriverTest, ALeaderWhoseEntriesAreMissingMovesNoClock) {
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
TEST(RaftDriverTest, ATermBeginsWithTheTimeAndNotWithTheLastStamp) {
  DriverCluster cluster({.members = 1});
  const NodeId leader = cluster.AwaitLeader();
  const uint64_t elected_at = cluster.driver(leader).core().last_stamp().value();
  EXPECT_GT(elected_at, 0u);
  EXPECT_LE(elected_at, cluster.driver(leader).Now().value());
}

TEST(RaftDriverTest, ALeadersClockIsOfItsOwnTerm) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.Tick(2);
  const Term term = cluster.driver(leader).core().term();
  for (const NodeId node : cluster.nodes()) {
    EXPECT_EQ(cluster.driver(node).ReadClusterClock().term, term) << node;
  }
}

bool MovesOnlyTheCommitIndex(const FakeTransport::SentMessage& sent) {
  const auto* heartbeat = std::get_if<Heartbeat>(&sent.envelope.message);
  return heartbeat != nullptr && heartbeat->round == RoundId(0);
}

TEST(RaftDriverTest, ACommitIndexTravelsAloneOnlyWhenNothingElseCarriesIt) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.Tick();

  cluster.ForgetSent();
  cluster.Propose(leader, "alone");
  cluster.Settle();
  const auto& sent = cluster.sent(leader);
  EXPECT_EQ(std::count_if(sent.begin(), sent.end(), MovesOnlyTheCommitIndex), 2)
      << "one to each follower";

  // While an entry is under way the next one gathers: its append carries the commit index.
  cluster.ForgetSent();
  cluster.Propose(leader, "first");
  cluster.driver(leader).RunTurn();
  cluster.Propose(leader, "second");
  cluster.Settle();
  const auto& carried = cluster.sent(leader);
  EXPECT_EQ(std::count_if(carried.begin(), carried.end(), MovesOnlyTheCommitIndex), 2)
      << "only for the second";
  for (const NodeId node : cluster.nodes()) {
    EXPECT_THAT(cluster.machine(node).commands(), ElementsAre("alone", "first", "second"));
  }
}

TEST(RaftDriverTest, RepliesComeBeforeFramesThatOnlyMoveTheCommitIndex) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.Tick();
  cluster.ForgetSent();
  bool answered = false;
  size_t commit_frames_before = 99;
  cluster.driver(leader).Propose(
      "a", cluster.clock().Now() + kNanosPerSecond, [&](ProposalResult, std::string) {
        answered = true;
        const auto taken = cluster.transport(leader).TakeMessages();
        commit_frames_before =
            static_cast<size_t>(std::count_if(taken.begin(), taken.end(), MovesOnlyTheCommitIndex));
      });
  cluster.Settle();
  EXPECT_TRUE(answered);
  EXPECT_EQ(commit_frames_before, 0u);
}

TEST(RaftDriverTest, AStalledStateMachineKeepsOrderAndHeartbeats) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.machine(leader).TakeAtMost(0);
  std::vector<std::shared_ptr<ProposalProbe>> probes;
  std::vector<std::string> expected;
  for (int i = 0; i < 5; ++i) {
    expected.push_back("c" + std::to_string(i));
    probes.push_back(cluster.Propose(leader, expected.back()));
    cluster.Settle();
  }
  EXPECT_THAT(cluster.machine(leader).commands(), IsEmpty());
  const Term term = cluster.driver(leader).core().term();
  cluster.ForgetSent();
  cluster.Tick(50);
  EXPECT_EQ(cluster.driver(leader).core().term(), term) << "heartbeats went on";
  EXPECT_GE(cluster.sent(leader).size(), 100u);
  for (const NodeId node : cluster.Others(leader)) {
    EXPECT_EQ(cluster.machine(node).commands(), expected) << "others are not held up";
  }
  EXPECT_FALSE(probes.front()->result.has_value());

  cluster.machine(leader).TakeAtMost(1);
  cluster.Tick(10);
  EXPECT_EQ(cluster.machine(leader).commands(), expected);
  for (const auto& probe : probes) {
    EXPECT_EQ(probe->result, ProposalResult::kApplied);
  }
}

TEST(RaftDriverTest, AStalledStateMachineIsAskedOnceATurn) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  cluster.machine(kOnly).TakeAtMost(0);
  cluster.Propose(kOnly, "a");
  cluster.Settle();
  EXPECT_FALSE(cluster.driver(kOnly).RunTurn()) << "it would spin";
  cluster.machine(kOnly).TakeAll();
  cluster.driver(kOnly).RunTurn();
  EXPECT_THAT(cluster.machine(kOnly).commands(), ElementsAre("a"));
}

TEST(RaftDriverTest, ApplyingIsCutIntoRunsOfBoundedBytes) {
  DriverCluster cluster(
      {.members = 1, .driver = {.entry_commands_max = 1, .apply_bytes_max = 2000}});
  cluster.AwaitLeader();
  cluster.machine(kOnly).TakeAtMost(0);
  for (int i = 0; i < 9; ++i) {
    cluster.Propose(kOnly, std::string(500, 'x'));
  }
  cluster.Propose(kOnly, std::string(5000, 'y'));
  cluster.Settle();
  const size_t runs_before = cluster.machine(kOnly).runs().size();
  cluster.machine(kOnly).TakeAll();
  cluster.Settle();
  const std::vector<size_t>& runs = cluster.machine(kOnly).runs();
  EXPECT_EQ(
      std::vector<size_t>(runs.begin() + static_cast<std::ptrdiff_t>(runs_before), runs.end()),
      (std::vector<size_t>{3, 3, 3, 1}));
}

TEST(RaftDriverTest, ProposalsBeyondTheBoundAreOverloaded) {
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

TEST(RaftDriverTest, ProposalBytesBeyondTheBoundAreOverloaded) {
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

TEST(RaftDriverTest, ReadsBeyondTheBoundAreOverloaded) {
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

TEST(RaftDriverTest, AFullLeaderRefusesForwardedProposals) {
  DriverCluster cluster({.driver = {.proposals_max = 3}});
  const NodeId leader = cluster.AwaitLeader();
  const std::vector<NodeId> followers = cluster.Others(leader);
  cluster.SetHold([](NodeId, NodeId, Traffic traffic) { return traffic == Traffic::kRaft; });
  cluster.Propose(leader, "under way");
  cluster.Settle();
  const auto probes = ProposeMany(&cluster, followers[0], 3);
  cluster.Settle();
  EXPECT_FALSE(probes[1]->result.has_value());
  EXPECT_EQ(probes[2]->result, ProposalResult::kOverloaded);
  cluster.SetHold(nullptr);
  cluster.Settle();
  EXPECT_EQ(probes[0]->result, ProposalResult::kApplied);
  EXPECT_EQ(probes[1]->result, ProposalResult::kApplied);
  EXPECT_THAT(cluster.machine(leader).commands(), ElementsAre("under way", "c0", "c1"));
}

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

TEST(RaftDriverTest, OnlyAWindowOfProposalsIsForwarded) {
  DriverCluster cluster({.driver = {.forwarded_max = 2}});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  const auto probes = ProposeMany(&cluster, follower, 5);
  EXPECT_FALSE(cluster.driver(follower).RunTurn()) << "it would spin";
  EXPECT_THAT(TakeForwarded(&cluster, follower), SizeIs(2));
  // Those two got lost without a word; what waits is refused for certain when its time is up.
  cluster.Tick(1100);
  EXPECT_EQ(probes[0]->result, ProposalResult::kOutcomeUnknown);
  EXPECT_EQ(probes[1]->result, ProposalResult::kOutcomeUnknown);
  EXPECT_EQ(probes[2]->result, ProposalResult::kOverloaded);
}

TEST(RaftDriverTest, TheForwardWindowOpensAsOutcomesAreApplied) {
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

TEST(RaftDriverTest, TheForwardWindowIsOfBytesButForASingleProposal) {
  DriverCluster cluster({.driver = {.forwarded_bytes_max = 100}});
  const NodeId follower = cluster.Others(cluster.AwaitLeader()).front();
  cluster.Propose(follower, std::string(300, 'a'));
  cluster.Propose(follower, "b");
  cluster.driver(follower).RunTurn();
  EXPECT_THAT(TakeForwarded(&cluster, follower), SizeIs(1));
}

TEST(RaftDriverTest, WhatWasOnABrokenStreamLeavesTheForwardWindow) {
  DriverCluster cluster({.driver = {.forwarded_max = 2}});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  const auto probes = ProposeMany(&cluster, follower, 4);
  cluster.driver(follower).RunTurn();
  EXPECT_THAT(TakeForwarded(&cluster, follower), SizeIs(2));
  cluster.LoseForwardStream(follower, leader);
  cluster.Settle();
  EXPECT_FALSE(probes[1]->result.has_value());
  EXPECT_EQ(probes[2]->result, ProposalResult::kApplied);
  EXPECT_EQ(probes[3]->result, ProposalResult::kApplied);
}

TEST(RaftDriverTest, AStreamToNoLeaderLeavesTheForwardWindowAsItIs) {
  DriverCluster cluster({.driver = {.forwarded_max = 2}});
  const std::vector<NodeId> followers = cluster.Others(cluster.AwaitLeader());
  ProposeMany(&cluster, followers[0], 4);
  cluster.driver(followers[0]).RunTurn();
  EXPECT_THAT(TakeForwarded(&cluster, followers[0]), SizeIs(2));
  cluster.driver(followers[0]).OnForwardLost(followers[1]);
  cluster.driver(followers[0]).RunTurn();
  EXPECT_THAT(TakeForwarded(&cluster, followers[0]), IsEmpty());
}

// What became of what the old one got is learnt only as entries of the new one are applied.
// Whoever looks first must not keep the news: what a leader had of its own is not under way to the
// next one.
TEST(RaftDriverTest, AChangeOfLeadersThatATickSeesFirstIsNoted) {
  DriverCluster cluster({});
  const NodeId old_leader = cluster.AwaitLeader();
  cluster.store(old_leader).HoldWrites();
  RaftDriver& driver = cluster.driver(old_leader);
  ProposeMany(&cluster, old_leader, 2);
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

TEST(RaftDriverTest, ANewLeaderHasAForwardWindowOfItsOwn) {
  DriverCluster cluster({.driver = {.forwarded_max = 2}});
  const NodeId old_leader = cluster.AwaitLeader();
  for (const NodeId node : cluster.Others(old_leader)) {
    cluster.machine(node).TakeAtMost(0);
    ProposeMany(&cluster, node, 4);
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

TEST(RaftDriverTest, WhatATransportHasNoRoomForWaitsUnbound) {
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

TEST(RaftDriverTest, WhatTheLogHasNoRoomForWaitsInOrder) {
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

TEST(RaftDriverTest, ALargeBacklogIsForwardedInSeveralFrames) {
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

TEST(RaftDriverTest, CallbacksMayAskAgain) {
  DriverCluster cluster({.members = 1, .driver = {.proposals_max = 2}});
  cluster.AwaitLeader();
  std::shared_ptr<ProposalProbe> second;
  std::shared_ptr<ReadProbe> read;
  cluster.driver(kOnly).Propose("first", cluster.clock().Now() + kNanosPerSecond,
                                [&](ProposalResult result, std::string) {
                                  EXPECT_EQ(result, ProposalResult::kApplied);
                                  second = cluster.Propose(kOnly, "second");
                                  read = cluster.Read(kOnly);
                                });
  cluster.Settle();
  ASSERT_NE(second, nullptr);
  EXPECT_EQ(second->result, ProposalResult::kApplied);
  EXPECT_EQ(read->result, ReadResult::kReady);
}

TEST(RaftDriverTest, AnIdleDriverHasNoWork) {
  DriverCluster cluster({});
  cluster.AwaitLeader();
  cluster.Settle();
  for (const NodeId node : cluster.nodes()) {
    EXPECT_FALSE(cluster.driver(node).RunTurn()) << node;
  }
}

TEST(RaftDriverTest, EventsReachTheObserver) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  const std::vector<Event>& events = cluster.events(kOnly);
  EXPECT_TRUE(std::any_of(events.begin(), events.end(), [](const Event& event) {
    return event.kind == Event::Kind::kRoleChanged && event.role == RaftRole::kLeader;
  }));
}

TEST(RaftDriverTest, ShutdownAnswersWhatWaits) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  cluster.store(kOnly).HoldWrites();
  const auto in_log = cluster.Propose(kOnly, "in log");
  cluster.Settle();
  const auto waiting = cluster.Propose(kOnly, "waiting");
  const auto read = cluster.Read(kOnly);
  cluster.driver(kOnly).Shutdown();
  EXPECT_EQ(in_log->result, ProposalResult::kOutcomeUnknown);
  EXPECT_EQ(waiting->result, ProposalResult::kShuttingDown);
  EXPECT_EQ(read->result, ReadResult::kShuttingDown);
  EXPECT_EQ(cluster.driver(kOnly).pending_requests(), 0u);

  const auto late = cluster.Propose(kOnly, "late");
  EXPECT_EQ(late->result, ProposalResult::kShuttingDown) << "at once";
  const auto late_read = cluster.Read(kOnly);
  EXPECT_EQ(late_read->result, ReadResult::kShuttingDown) << "at once";
  cluster.store(kOnly).ReleaseWrites();
  cluster.Tick(5);
  EXPECT_THAT(cluster.machine(kOnly).commands(), ElementsAre("in log"));
}

TEST(RaftDriverTest, AStoppingLeaderRefusesForwardedRequests) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  cluster.SetHold([](NodeId, NodeId, Traffic traffic) { return traffic == Traffic::kRaft; });
  cluster.Propose(leader, "under way");
  cluster.Settle();
  const auto queued = cluster.Propose(follower, "queued");
  cluster.Settle();
  cluster.driver(leader).Shutdown();
  const auto late = cluster.Propose(follower, "late");
  cluster.SetHold(nullptr);
  cluster.Settle();
  EXPECT_FALSE(queued->result.has_value());
  EXPECT_FALSE(late->result.has_value());
  cluster.Isolate(leader);
  cluster.AwaitLeader();
  cluster.Settle();
  EXPECT_EQ(queued->result, ProposalResult::kApplied) << "by the next leader";
  EXPECT_EQ(late->result, ProposalResult::kApplied);
  EXPECT_EQ(cluster.machine(follower).CountOf("queued"), 1u);
  EXPECT_EQ(cluster.machine(follower).CountOf("late"), 1u);
}

TEST(RaftDriverTest, OutcomesOfOthersAreNotWanted) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  cluster.store(kOnly).HoldWrites();
  const auto probe = cluster.Propose(kOnly, "a");
  cluster.Settle();
  const uint64_t origin = DriverCluster::kFirstOrigin;
  const uint64_t sequence = origin + 1;
  EXPECT_TRUE(cluster.driver(kOnly).Wants(origin, sequence));
  EXPECT_FALSE(cluster.driver(kOnly).Wants(origin, sequence + 1));
  EXPECT_FALSE(cluster.driver(kOnly).Wants(origin + 1, sequence));
  cluster.driver(kOnly).OnOutcome(origin + 1, sequence, "another's");
  cluster.Settle();
  EXPECT_FALSE(probe->result.has_value());
}

TEST(DriverOptionsTest, EveryBoundIsAtLeastOne) {
  EXPECT_TRUE(DriverOptions().Validate().ok());
  const std::vector<DriverOptions> broken = {{.uncommitted_entries_max = 0},
                                             {.uncommitted_large_entries_max = 0},
                                             {.entry_commands_max = 0},
                                             {.entry_bytes_max = 0},
                                             {.apply_bytes_max = 0},
                                             {.proposals_max = 0},
                                             {.proposal_bytes_max = 0},
                                             {.forwarded_max = 0},
                                             {.forwarded_bytes_max = 0},
                                             {.reads_max = 0},
                                             {.leader_wait = 0},
                                             {.read_retry_after = -1}};
  for (const DriverOptions& options : broken) {
    EXPECT_EQ(options.Validate().code(), absl::StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(DriverOptions{.reads_max = 0}.Validate().message(),
            "reads_max is 0, must be at least 1");
}

}  // namespace
}  // namespace raftkv::raft
