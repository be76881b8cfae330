// What becomes of requests when leaders change, streams break and time runs out. What a client is
// told must be true for good: "no effect" never takes effect later, "applied" happened once.
#include <glog/logging.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "raft/runtime/raft_driver.h"
#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr MonotonicNanos kMilli = kNanosPerMilli;

// Clients wait long enough for a failover.
DriverClusterOptions Patient() {
  DriverClusterOptions options;
  options.driver.leader_wait = 5 * kNanosPerSecond;
  return options;
}

// Runs the cluster on until whatever could still be applied is, then counts on every member.
void ExpectAppliedTimes(DriverCluster* cluster, const std::string& command, size_t times) {
  cluster->SetHold(nullptr);
  cluster->Heal();
  cluster->AwaitLeader();
  cluster->Tick(30);
  for (const NodeId node : cluster->nodes()) {
    EXPECT_EQ(cluster->machine(node).CountOf(command), times) << command << " on " << node;
  }
}

TEST(ProposalFateTest, WhatOnlyTheOldLeaderHeldIsProposedAgainOnce) {
  DriverCluster cluster(Patient());
  const NodeId old_leader = cluster.AwaitLeader();
  cluster.Isolate(old_leader);
  const auto probe = cluster.Propose(old_leader, "a");
  cluster.Settle();
  const NodeId new_leader = cluster.AwaitLeader();
  EXPECT_FALSE(probe->result.has_value());
  cluster.Heal();
  ASSERT_TRUE(cluster.TickUntil([&] { return probe->result.has_value(); }));
  EXPECT_EQ(probe->result, ProposalResult::kApplied);
  EXPECT_EQ(cluster.AwaitLeader(), new_leader) << "the old leader forwarded it";
  ExpectAppliedTimes(&cluster, "a", 1);
}

TEST(ProposalFateTest, WhatSurvivedTheOldLeaderIsAppliedOnce) {
  DriverCluster cluster(Patient());
  const NodeId old_leader = cluster.AwaitLeader();
  const std::vector<NodeId> others = cluster.Others(old_leader);
  // The entry reaches the others, their acknowledgements do not come back.
  cluster.SetHold([&](NodeId, NodeId to, Traffic) { return to == old_leader; });
  const auto probe = cluster.Propose(old_leader, "a");
  cluster.Settle();
  EXPECT_FALSE(probe->result.has_value());
  cluster.SetHold(nullptr);
  cluster.Isolate(old_leader);
  cluster.AwaitLeader();
  EXPECT_EQ(cluster.machine(others[0]).CountOf("a"), 1u);
  cluster.Heal();
  ASSERT_TRUE(cluster.TickUntil([&] { return probe->result.has_value(); }));
  EXPECT_EQ(probe->result, ProposalResult::kApplied);
  EXPECT_EQ(probe->outcome, "done a");
  ExpectAppliedTimes(&cluster, "a", 1);
}

TEST(ProposalFateTest, AForwardedProposalThatDiedWithItsLeaderIsProposedAgainOnce) {
  DriverCluster cluster(Patient());
  const NodeId old_leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(old_leader).front();
  // The leader gets the request and appends it, but its appends go nowhere.
  cluster.SetHold([&](NodeId from, NodeId, Traffic traffic) {
    return from == old_leader && traffic == Traffic::kRaft;
  });
  const auto probe = cluster.Propose(follower, "a");
  cluster.Settle();
  EXPECT_EQ(cluster.driver(old_leader).core().uncommitted_entries(), 1u);
  cluster.SetHold(nullptr);
  cluster.Isolate(old_leader);
  ASSERT_TRUE(cluster.TickUntil([&] { return probe->result.has_value(); }));
  EXPECT_EQ(probe->result, ProposalResult::kApplied);
  ExpectAppliedTimes(&cluster, "a", 1);
}

TEST(ProposalFateTest, ARequestThatReachesADeposedLeaderLateHasNoEffect) {
  DriverCluster cluster(Patient());
  const NodeId old_leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(old_leader).front();
  const Term old_term = cluster.driver(old_leader).core().term();
  cluster.Propose(follower, "a");
  cluster.driver(follower).RunTurn();
  const auto sent = cluster.transport(follower).TakeRequests();
  ASSERT_THAT(sent, SizeIs(1));
  cluster.Isolate(old_leader);
  cluster.AwaitLeader();
  cluster.Settle();
  EXPECT_EQ(cluster.machine(follower).CountOf("a"), 1u) << "the new leader has it already";
  cluster.Heal();
  cluster.Tick(5);

  cluster.driver(old_leader).OnForwardRequest(follower, sent[0].request);
  cluster.driver(old_leader).RunTurn();
  const auto replies = cluster.transport(old_leader).TakeReplies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_GT(replies[0].reply.term, old_term);
  ASSERT_THAT(replies[0].reply.refused_proposals, SizeIs(1));
  EXPECT_EQ(replies[0].reply.refused_proposals[0].reason, RefusalReason::kNotLeader);
  // The late refusal of the first attempt finds nobody.
  cluster.driver(follower).OnForwardReply(old_leader, replies[0].reply);
  ExpectAppliedTimes(&cluster, "a", 1);
}

TEST(ProposalFateTest, ARefusedProposalIsNotSentToThatLeaderAgain) {
  DriverCluster cluster(Patient());
  const NodeId old_leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(old_leader).front();
  const Term old_term = cluster.driver(follower).core().term();
  cluster.Propose(follower, "a");
  cluster.Propose(follower, "b");
  cluster.driver(follower).RunTurn();
  const auto sent = cluster.transport(follower).TakeRequests();
  ASSERT_THAT(sent, SizeIs(1));
  ASSERT_THAT(sent[0].request.proposals, SizeIs(2));

  ForwardReply refusal{.term = old_term, .refused_proposals = {}, .reads = {}, .refused_reads = {}};
  for (const Proposal& proposal : sent[0].request.proposals) {
    refusal.refused_proposals.push_back(
        {.sequence = proposal.sequence, .reason = RefusalReason::kNotLeader});
  }
  cluster.driver(follower).OnForwardReply(old_leader, refusal);
  const auto read = cluster.Read(follower);
  cluster.Tick(3);
  EXPECT_EQ(cluster.transport(follower).forward_attempts(), 1u);
  EXPECT_FALSE(read->result.has_value());

  cluster.Isolate(old_leader);
  cluster.AwaitLeader();
  cluster.Settle();
  EXPECT_EQ(read->result, ReadResult::kReady);
  EXPECT_THAT(cluster.machine(follower).commands(), ElementsAre("a", "b"));
  ExpectAppliedTimes(&cluster, "a", 1);
}

TEST(ProposalFateTest, WhatQueuesAtALeaderThatStepsDownIsRefused) {
  DriverCluster cluster(Patient());
  const NodeId old_leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(old_leader).front();
  cluster.SetHold([&](NodeId, NodeId to, Traffic traffic) {
    return to == old_leader && traffic == Traffic::kRaft;
  });
  cluster.Propose(old_leader, "under way");
  cluster.Settle();
  const auto queued = cluster.Propose(follower, "queued");
  cluster.Settle();
  EXPECT_EQ(cluster.driver(old_leader).core().uncommitted_entries(), 1u);
  // Without word from a quorum the leader resigns, and says so on the stream that still works.
  RaftDriver& driver = cluster.driver(old_leader);
  for (int ticks = 0; driver.core().role() == RaftRole::kLeader && ticks < 100; ++ticks) {
    driver.Tick();
    driver.RunTurn();
  }
  const auto replies = cluster.transport(old_leader).TakeReplies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].to, follower);
  ASSERT_THAT(replies[0].reply.refused_proposals, SizeIs(1));
  EXPECT_EQ(replies[0].reply.refused_proposals[0].reason, RefusalReason::kNotLeader);
  cluster.driver(follower).OnForwardReply(old_leader, replies[0].reply);
  ASSERT_TRUE(cluster.TickUntil([&] { return queued->result.has_value(); }));
  EXPECT_EQ(queued->result, ProposalResult::kApplied);
  ExpectAppliedTimes(&cluster, "queued", 1);
}

TEST(ProposalFateTest, ALostForwardStreamLeavesTheOutcomeUnknownAtTheDeadline) {
  DriverCluster cluster(Patient());
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  const auto probe = cluster.Propose(follower, "a", 200 * kMilli);
  cluster.driver(follower).RunTurn();
  cluster.LoseForwardStream(follower, leader);
  cluster.Tick(19);
  EXPECT_FALSE(probe->result.has_value());
  cluster.Tick(1);
  EXPECT_EQ(probe->result, ProposalResult::kOutcomeUnknown);
  ExpectAppliedTimes(&cluster, "a", 0);
}

TEST(ProposalFateTest, TheOwnLogShowsTheFateInSpiteOfALostStream) {
  DriverCluster cluster(Patient());
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  cluster.SetHold([&](NodeId, NodeId to, Traffic traffic) {
    return to == follower && traffic == Traffic::kRaft;
  });
  const auto probe = cluster.Propose(follower, "a");
  cluster.Settle();
  cluster.LoseForwardStream(follower, leader);
  EXPECT_FALSE(probe->result.has_value());
  cluster.SetHold(nullptr);
  cluster.Settle();
  EXPECT_EQ(probe->result, ProposalResult::kApplied);
  ExpectAppliedTimes(&cluster, "a", 1);
}

TEST(ProposalFateTest, WithoutALeaderRequestsEndAfterTheLeaderWait) {
  DriverCluster cluster({});  // leader_wait is 300 ms.
  const NodeId node(1);
  cluster.Isolate(NodeId(2));
  cluster.Isolate(NodeId(3));
  cluster.Tick(100);
  const auto write = cluster.Propose(node, "a");
  const auto read = cluster.Read(node);
  cluster.Tick(29);
  EXPECT_FALSE(write->result.has_value())
      << "a request has the whole wait, however long there is no leader";
  EXPECT_FALSE(read->result.has_value());
  cluster.Tick(1);
  EXPECT_EQ(write->result, ProposalResult::kNoLeader);
  EXPECT_EQ(read->result, ReadResult::kNoLeader);
  ExpectAppliedTimes(&cluster, "a", 0);
}

TEST(ProposalFateTest, TheDeadlineCutsTheLeaderWait) {
  DriverCluster cluster({});
  cluster.Isolate(NodeId(2));
  cluster.Isolate(NodeId(3));
  const auto write = cluster.Propose(NodeId(1), "a", 50 * kMilli);
  const auto read = cluster.Read(NodeId(1), 50 * kMilli);
  cluster.Tick(4);
  EXPECT_FALSE(write->result.has_value());
  cluster.Tick(1);
  EXPECT_EQ(write->result, ProposalResult::kNoLeader);
  EXPECT_EQ(read->result, ReadResult::kNoLeader);
  ExpectAppliedTimes(&cluster, "a", 0);
}

TEST(ProposalFateTest, AnUnreachableLeaderIsNoLeader) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  cluster.transport(follower).SetReachable(leader, false);
  const auto write = cluster.Propose(follower, "a");
  const auto read = cluster.Read(follower);
  cluster.Settle();
  cluster.Tick(20);
  EXPECT_EQ(cluster.transport(follower).forward_attempts(), 21u) << "once a tick";
  EXPECT_FALSE(write->result.has_value());
  cluster.Tick(10);
  EXPECT_EQ(write->result, ProposalResult::kNoLeader);
  EXPECT_EQ(read->result, ReadResult::kNoLeader);

  const auto retried = cluster.Propose(follower, "b");
  cluster.Tick(20);
  cluster.transport(follower).SetReachable(leader, true);
  cluster.Tick(1);
  EXPECT_EQ(retried->result, ProposalResult::kApplied);
  ExpectAppliedTimes(&cluster, "a", 0);
}

TEST(ProposalFateTest, WhatIsInTheLogEndsUnknownAfterTheLeaderWait) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  for (const NodeId other : cluster.Others(leader)) {
    cluster.Isolate(other);
  }
  const auto probe = cluster.Propose(leader, "a");
  const auto resigned = [&] { return cluster.driver(leader).core().leader() == kNobody; };
  ASSERT_TRUE(cluster.TickUntil(resigned));
  cluster.Tick(29);
  EXPECT_FALSE(probe->result.has_value());
  cluster.Tick(2);
  EXPECT_EQ(probe->result, ProposalResult::kOutcomeUnknown);
}

TEST(ProposalFateTest, AQueueThatIsTooSlowIsOverloadedAtTheDeadline) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  const NodeId node(1);
  cluster.store(node).HoldWrites();
  const auto in_log = cluster.Propose(node, "in log", 60 * kMilli);
  cluster.Settle();
  const auto queued = cluster.Propose(node, "queued", 50 * kMilli);
  cluster.Tick(5);
  EXPECT_EQ(queued->result, ProposalResult::kOverloaded);
  EXPECT_FALSE(in_log->result.has_value());
  cluster.Tick(1);
  EXPECT_EQ(in_log->result, ProposalResult::kOutcomeUnknown);
  cluster.store(node).ReleaseWrites();
  cluster.Tick(5);
  EXPECT_THAT(cluster.machine(node).commands(), ElementsAre("in log"));
}

TEST(ProposalFateTest, ExpiredProposalsAreDroppedBeforeProposing) {
  DriverCluster cluster({.members = 1});
  cluster.AwaitLeader();
  const auto expired = cluster.Propose(NodeId(1), "expired", 5 * kMilli);
  const auto alive = cluster.Propose(NodeId(1), "alive", 50 * kMilli);
  cluster.clock().Advance(6 * kMilli);
  cluster.Settle();
  EXPECT_EQ(expired->result, ProposalResult::kOverloaded);
  EXPECT_EQ(alive->result, ProposalResult::kApplied);
  EXPECT_THAT(cluster.machine(NodeId(1)).commands(), ElementsAre("alive"));
}

TEST(ProposalFateTest, ReadsMoveToTheNextLeader) {
  DriverCluster cluster(Patient());
  const NodeId old_leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(old_leader).front();
  cluster.Isolate(old_leader);
  const auto on_old_leader = cluster.Read(old_leader);
  const auto on_follower = cluster.Read(follower);
  cluster.AwaitLeader();
  cluster.Settle();
  EXPECT_EQ(on_follower->result, ReadResult::kReady);
  EXPECT_FALSE(on_old_leader->result.has_value()) << "it must not answer alone";
  cluster.Propose(follower, "a");
  cluster.Settle();
  const LogIndex written = cluster.machine(follower).applied().index;
  cluster.Heal();
  ASSERT_TRUE(cluster.TickUntil([&] { return on_old_leader->result.has_value(); }));
  EXPECT_EQ(on_old_leader->result, ReadResult::kReady);
  EXPECT_GE(on_old_leader->applied, written);
}

TEST(ProposalFateTest, AReadIsAskedForAgainWhenItsStreamBreaks) {
  DriverCluster cluster(Patient());
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  const auto read = cluster.Read(follower);
  cluster.driver(follower).RunTurn();
  cluster.LoseForwardStream(follower, leader);
  cluster.Settle();
  EXPECT_EQ(read->result, ReadResult::kReady);
}

TEST(ProposalFateTest, AReadIsAskedForAgainWhenItsAnswerDoesNotCome) {
  DriverCluster cluster(Patient());  // read_retry_after is 100 ms.
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  const auto read = cluster.Read(follower);
  cluster.driver(follower).RunTurn();
  cluster.LoseForwardStream(follower, leader, /*silently=*/true);
  cluster.Tick(9);
  EXPECT_FALSE(read->result.has_value());
  cluster.Tick(1);
  EXPECT_EQ(read->result, ReadResult::kReady);
}

TEST(ProposalFateTest, AnAnswerToAnEarlierAttemptOfAReadIsIgnored) {
  DriverCluster cluster(Patient());
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  const auto read = cluster.Read(follower);
  cluster.driver(follower).RunTurn();
  const auto first = cluster.transport(follower).TakeRequests();
  cluster.driver(follower).OnForwardLost(leader);
  cluster.driver(follower).RunTurn();
  const auto second = cluster.transport(follower).TakeRequests();
  ASSERT_THAT(first, SizeIs(1));
  ASSERT_THAT(second, SizeIs(1));
  EXPECT_NE(first[0].request.reads, second[0].request.reads);
  cluster.driver(follower).OnForwardReply(
      leader, {.term = Term(1),
               .refused_proposals = {},
               .reads = {{.id = first[0].request.reads[0], .read_index = LogIndex(1)}},
               .refused_reads = {}});
  cluster.driver(follower).RunTurn();
  EXPECT_FALSE(read->result.has_value());
}

TEST(ProposalFateTest, AnswersToAnEarlierProcessFindNobody) {
  DriverCluster cluster(Patient());
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  const auto ask = [&] {
    cluster.Propose(follower, "a");
    cluster.Read(follower);
    cluster.driver(follower).RunTurn();
    const auto sent = cluster.transport(follower).TakeRequests();
    CHECK_EQ(sent.size(), 1u);
    return sent[0].request;
  };
  const ForwardRequest before = ask();
  cluster.Restart(follower);
  cluster.AwaitLeader();
  const ForwardRequest after = ask();
  // A refusal of the first proposal must not set the second free to be proposed twice, nor an old
  // read index serve a new read: their numbers differ.
  EXPECT_NE(before.proposals[0].sequence, after.proposals[0].sequence);
  EXPECT_NE(before.reads[0], after.reads[0]);
}

TEST(ProposalFateTest, AReadThatIsConfirmedButNotAppliedIsToldSoAtTheDeadline) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  cluster.machine(leader).TakeAtMost(0);
  cluster.Propose(leader, "a");
  cluster.Settle();
  const auto read = cluster.Read(leader, 50 * kMilli);
  cluster.Tick(5);
  EXPECT_EQ(read->result, ReadResult::kBehind);
}

TEST(ProposalFateTest, AMemberThatDoesNotLeadRefusesWithItsTerm) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const std::vector<NodeId> followers = cluster.Others(leader);
  const Term term = cluster.driver(leader).core().term();
  const ForwardRequest request{.term = term,
                               .proposals = {{.origin = 7, .sequence = 1, .command = "x"}},
                               .reads = {ReadId(5)}};
  cluster.driver(followers[0]).OnForwardRequest(followers[1], request);
  cluster.driver(followers[0]).RunTurn();
  const auto replies = cluster.transport(followers[0]).TakeReplies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_EQ(replies[0].to, followers[1]);
  EXPECT_EQ(replies[0].reply.term, term);
  EXPECT_THAT(replies[0].reply.refused_proposals, SizeIs(1));
  EXPECT_THAT(replies[0].reply.refused_reads, ElementsAre(ReadId(5)));
  EXPECT_THAT(replies[0].reply.reads, IsEmpty());

  // The leader refuses what was meant for a leader of another term.
  ForwardRequest stale = request;
  stale.term = term.Next();
  cluster.driver(leader).OnForwardRequest(followers[1], stale);
  cluster.driver(leader).RunTurn();
  const auto stale_replies = cluster.transport(leader).TakeReplies();
  ASSERT_THAT(stale_replies, SizeIs(1));
  EXPECT_THAT(stale_replies[0].reply.refused_proposals, SizeIs(1));
  EXPECT_THAT(stale_replies[0].reply.refused_reads, ElementsAre(ReadId(5)));
  ExpectAppliedTimes(&cluster, "x", 0);
}

TEST(ProposalFateTest, AnswersToOneMemberAreGatheredInATurn) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId follower = cluster.Others(leader).front();
  const Term stale(cluster.driver(leader).core().term().value() + 7);
  for (uint64_t i = 1; i <= 3; ++i) {
    cluster.driver(leader).OnForwardRequest(follower,
                                            {.term = stale, .proposals = {}, .reads = {ReadId(i)}});
  }
  cluster.driver(leader).RunTurn();
  const auto replies = cluster.transport(leader).TakeReplies();
  ASSERT_THAT(replies, SizeIs(1));
  EXPECT_THAT(replies[0].reply.refused_reads, ElementsAre(ReadId(1), ReadId(2), ReadId(3)));
}

}  // namespace
}  // namespace raftkv::raft
