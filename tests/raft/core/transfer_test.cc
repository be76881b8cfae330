// Leadership transfer, one core alone: thesis §3.10. Node 1 of voters 1, 2, 3 and learner 4 leads
// term 1 with entry 1 committed by 2, unless a test says otherwise.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/raft/core/configurations.h"
#include "tests/support/lone_core.h"

namespace raftkv::raft {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;

constexpr char kAsked[] = "1->2 term=1 TimeoutNow";

class TransferTest : public testing::Test {
 protected:
  TransferTest() { node_.LeadAndCommit(); }

  std::string Refusal(uint64_t target) {
    const absl::Status status = node_->TransferLeadership(NodeId(target));
    EXPECT_FALSE(status.ok());
    EXPECT_EQ(node_->handing_over_to(), kNobody);
    return status.ToString();
  }
  void Accept(uint64_t from, uint64_t match) {
    node_.Step(from, 1, AppendAccepted{.match_index = LogIndex(match)});
  }

  LoneCore node_;
};

TEST_F(TransferTest, WhoHasAllOfTheLogIsAskedAtOnce) {
  EXPECT_TRUE(node_->TransferLeadership(NodeId(2)).ok());
  EXPECT_EQ(node_->handing_over_to(), NodeId(2));
  EXPECT_THAT(node_.Turn(), ElementsAre(kAsked));
  EXPECT_THAT(node_.events, ElementsAre("hands over leadership of term 1: to node 2"));
}

TEST_F(TransferTest, WhoLacksEntriesIsBroughtThemFirst) {
  ASSERT_TRUE(node_->Propose("x", ClusterMillis(0)).ok());
  node_.Turn();
  EXPECT_TRUE(node_->TransferLeadership(NodeId(2)).ok());
  EXPECT_THAT(node_.Turn(), IsEmpty());
  Accept(2, 2);
  EXPECT_THAT(node_.Turn(), Contains(kAsked));
}

TEST_F(TransferTest, NothingIsAppendedMeanwhile) {
  ASSERT_TRUE(node_->TransferLeadership(NodeId(2)).ok());
  const absl::Status refused = node_->Propose("x", ClusterMillis(0)).status();
  EXPECT_TRUE(absl::IsUnavailable(refused));
  EXPECT_EQ(refused.message(), "node 1 hands over to 2");
  EXPECT_FALSE(
      node_->ProposeConfiguration(Simple({1, 2}), "payload", ClusterMillis(0)).status().ok());
  EXPECT_EQ(node_->last_entry(), Id(1, 1));
}

TEST_F(TransferTest, ReadsGoOn) {
  ASSERT_TRUE(node_->TransferLeadership(NodeId(2)).ok());
  node_->RequestRead(ReadId(7), NodeId(1));
  node_.Turn();
  node_.Step(2, 1, HeartbeatReply{.round = RoundId(1)});
  node_.Turn();
  EXPECT_THAT(node_.reads, ElementsAre("read 7 at 1"));
}

TEST_F(TransferTest, TheRequestIsRepeatedWithHeartbeats) {
  ASSERT_TRUE(node_->TransferLeadership(NodeId(2)).ok());
  node_.Turn();
  EXPECT_THAT(node_.Tick(9), Not(Contains(kAsked)));
  EXPECT_THAT(node_.Tick(1), Contains(kAsked));
}

TEST_F(TransferTest, IsGivenUpAfterAnElectionTimeout) {
  ASSERT_TRUE(node_->TransferLeadership(NodeId(2)).ok());
  for (uint64_t tick = 1; tick < kElectionTicks; ++tick) {
    node_.Step(2, 1, HeartbeatReply{.round = RoundId(0)});
    node_.Tick(1);
  }
  EXPECT_EQ(node_->handing_over_to(), NodeId(2));
  node_.events.clear();
  node_.Tick(1);
  EXPECT_EQ(node_->role(), RaftRole::kLeader);
  EXPECT_EQ(node_->handing_over_to(), kNobody);
  EXPECT_THAT(node_.events,
              ElementsAre("keeps leading term 1: node 2 did not take over within 100 ticks"));
  EXPECT_TRUE(node_->Propose("x", ClusterMillis(0)).ok());
}

TEST_F(TransferTest, WithoutATargetTheLongestLogThatIsHeardIsTaken) {
  Accept(3, 0);
  EXPECT_TRUE(node_->TransferLeadership(kNobody).ok());
  EXPECT_EQ(node_->handing_over_to(), NodeId(2));
  EXPECT_TRUE(node_->TransferLeadership(kNobody).ok()) << "the same again";
  EXPECT_TRUE(node_->TransferLeadership(NodeId(2)).ok()) << "and by name";
}

TEST_F(TransferTest, TheLeaderIsHandedNothing) {
  EXPECT_TRUE(node_->TransferLeadership(NodeId(1)).ok());
  EXPECT_EQ(node_->handing_over_to(), kNobody);
}

TEST_F(TransferTest, Refusals) {
  EXPECT_THAT(Refusal(4), HasSubstr("INVALID_ARGUMENT: node 4 does not vote"));
  EXPECT_THAT(Refusal(9), HasSubstr("INVALID_ARGUMENT: node 9 does not vote"));
  for (uint64_t tick = 0; tick < kElectionTicks; ++tick) {
    node_.Step(2, 1, HeartbeatReply{.round = RoundId(0)});
    node_.Tick(1);
  }
  EXPECT_THAT(Refusal(3), HasSubstr("FAILED_PRECONDITION: node 3 does not answer"));
  ASSERT_TRUE(node_->TransferLeadership(NodeId(2)).ok());
  EXPECT_THAT(node_->TransferLeadership(NodeId(3)).ToString(),
              HasSubstr("FAILED_PRECONDITION: leadership is being handed to node 2"));
}

TEST_F(TransferTest, NobodyElseIsThere) {
  LoneCore alone(FiveVoters(0, {}));
  EXPECT_TRUE(absl::IsUnavailable(alone->TransferLeadership(kNobody))) << "it does not lead";
  RestoredState state = SomeState(0, {});
  state.configuration = Simple({1});
  LoneCore only(state);
  only.Tick(3);
  ASSERT_EQ(only->role(), RaftRole::kLeader);
  EXPECT_EQ(only->TransferLeadership(kNobody).ToString(),
            "FAILED_PRECONDITION: no other voter answers");
}

TEST_F(TransferTest, ATargetThatVotesNoMoreIsNotWaitedFor) {
  ASSERT_TRUE(
      node_->ProposeConfiguration(Joint({1, 3}, {1, 2, 3}), "payload", ClusterMillis(0)).ok());
  node_.Turn();
  EXPECT_THAT(node_->TransferLeadership(NodeId(2)).ToString(), HasSubstr("does not vote"));
}

TEST_F(TransferTest, TheOldLeaderVotesForWhomItAsked) {
  ASSERT_TRUE(node_->TransferLeadership(NodeId(2)).ok());
  node_.Turn();
  node_.Step(2, 2, VoteRequest{.last_entry = Id(1, 1), .transfer = true});
  EXPECT_THAT(node_.Turn(), ElementsAre("1->2 term=2 VoteReply granted"));
  EXPECT_EQ(node_->role(), RaftRole::kFollower);
}

// Without the mark a leader, or who hears one, gives no vote (thesis §4.2.3).
TEST(AskedFollowerTest, VotesThoughTheLeaderIsHeard) {
  LoneCore node;
  node.Step(3, 1, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  node.Turn();
  node.Step(2, 2, VoteRequest{.last_entry = Id(0, 0)});
  EXPECT_THAT(node.Turn(), IsEmpty());
  node.Step(2, 2, VoteRequest{.last_entry = Id(0, 0), .transfer = true});
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=2 VoteReply granted"));
}

TEST(AskedFollowerTest, VotesForNoShorterLog) {
  LoneCore node(SomeState(1, {MakeEntry(1, 1)}));
  node.Step(3, 1, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  node.Turn();
  node.Step(2, 2, VoteRequest{.last_entry = Id(0, 0), .transfer = true});
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=2 VoteReply refused"));
}

TEST(AskedFollowerTest, StandsAtOnceWithoutAskingForPreVotes) {
  LoneCore node;
  node.Step(2, 1, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  node.Turn();
  node.events.clear();
  node.Step(2, 1, TimeoutNow());
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=2 VoteRequest last=0/0 transfer",
                                       "1->3 term=2 VoteRequest last=0/0 transfer"));
  EXPECT_THAT(node.events, ElementsAre("candidate term=2 leader=nobody: leader 2 hands over"));
}

TEST(AskedFollowerTest, ItsLogAndVoteAreDurableFirst) {
  LoneCore node;
  node.SlowDisk();
  node.Step(2, 1, TimeoutNow());
  EXPECT_THAT(node.Turn(), IsEmpty());
  node->OnPersisted(node.last_write);
  EXPECT_THAT(node.Turn(), IsSupersetOf({"1->2 term=2 VoteRequest last=0/0 transfer"}));
}

TEST(AskedFollowerTest, IgnoresWhoDoesNotLead) {
  LoneCore node;
  node.Step(2, 2, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  node.Turn();
  node.events.clear();
  node.Step(3, 2, TimeoutNow());
  EXPECT_THAT(node.events, ElementsAre(HasSubstr("node 2 leads term 2, node 3 cannot")));
  node.Step(3, 1, TimeoutNow());
  EXPECT_EQ(node->role(), RaftRole::kFollower) << "an old one";
  node->Retire();
  node.Step(2, 2, TimeoutNow());
  EXPECT_EQ(node->role(), RaftRole::kFollower) << "it may not lead";
}

TEST(AskedFollowerTest, APreVoteIsNoTransfer) {
  LoneCore node;
  node.Step(2, 2, VoteRequest{.pre_vote = true, .last_entry = Id(0, 0), .transfer = true});
  EXPECT_THAT(node.events, ElementsAre(HasSubstr("nobody is asked to stand for a PreVote")));
}

}  // namespace
}  // namespace raftkv::raft
