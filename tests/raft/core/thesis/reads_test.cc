// Thesis §6.4, linearizable reads without the log: one case per rule that the leader's core keeps.
// tests/raft/testdata/INDEX.md lists every rule with its test.
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/lone_core.h"

namespace raftkv::raft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr NodeId kSelf(1);

TEST(Thesis6_4, AReadWaitsForTheFirstCommitOfTheTerm) {
  LoneCore node(SomeState(1, {MakeEntry(1, 1)}));
  node.Lead();
  node->RequestRead(ReadId(1), kSelf);
  EXPECT_THAT(node.Turn(), IsEmpty());
  node.Tick(20);
  node.Step(2, 2, HeartbeatReply{.round = RoundId(1)});
  node.Step(3, 2, HeartbeatReply{.round = RoundId(1)});
  node.Step(2, 2, AppendAccepted{.match_index = LogIndex(1)});
  node.Turn();
  EXPECT_THAT(node.reads, IsEmpty()) << "what an earlier leader committed is not known yet";
  node.Step(2, 2, AppendAccepted{.match_index = LogIndex(2)});
  node.Turn();
  EXPECT_THAT(node.reads, IsEmpty()) << "the rounds so far began before the read had an index";
  node.Step(2, 2, HeartbeatReply{.round = RoundId(3)});
  node.Turn();
  EXPECT_THAT(node.reads, ElementsAre("read 1 at 2"));
}

TEST(Thesis6_4, TheReadIndexIsWhatIsCommittedWhenTheRoundBegins) {
  LoneCore node;
  node.LeadAndCommit();
  ASSERT_TRUE(node->Propose("a", ClusterMillis(1)).ok());
  node.Turn();
  node->RequestRead(ReadId(1), kSelf);
  node.Turn();
  node.Step(2, 1, AppendAccepted{.match_index = LogIndex(2)});
  ASSERT_EQ(node->commit_index(), LogIndex(2));
  node.Step(2, 1, HeartbeatReply{.round = RoundId(1)});
  node.Turn();
  EXPECT_THAT(node.reads, ElementsAre("read 1 at 1"));
}

TEST(Thesis6_4, ARoundNeedsAMajority) {
  LoneCore node(FiveVoters(0, {}));
  node.Lead({2, 3});
  node.Step(2, 1, AppendAccepted{.match_index = LogIndex(1)});
  node.Step(3, 1, AppendAccepted{.match_index = LogIndex(1)});
  node.Turn();
  node->RequestRead(ReadId(1), kSelf);
  node.Turn();
  node.Step(2, 1, HeartbeatReply{.round = RoundId(1)});
  node.Step(2, 1, HeartbeatReply{.round = RoundId(1)});
  node.Turn();
  EXPECT_THAT(node.reads, IsEmpty());
  node.Step(5, 1, HeartbeatReply{.round = RoundId(1)});
  node.Turn();
  EXPECT_THAT(node.reads, ElementsAre("read 1 at 1"));
}

// Row 21: nothing but an answer to a round that began after the read shows that nobody else led.
TEST(Thesis6_4, OnlyAnswersToALaterRoundConfirmARead) {
  LoneCore node;
  node.LeadAndCommit();
  node.Tick(10);
  node->RequestRead(ReadId(1), kSelf);
  node.Turn();
  node.Step(2, 1, HeartbeatReply{.round = RoundId(1)});
  node.Step(3, 1, HeartbeatReply{.round = RoundId(1)});
  node.Step(3, 1, HeartbeatReply{.round = RoundId(0)});
  node.Step(3, 1, AppendAccepted{.match_index = LogIndex(1)});
  node.Turn();
  EXPECT_THAT(node.reads, IsEmpty());
  node.Step(3, 1, HeartbeatReply{.round = RoundId(2)});
  node.Turn();
  EXPECT_THAT(node.reads, ElementsAre("read 1 at 1"));
}

// Rows 21 and 22: rounds are counted anew in each term, so an answer counts in its own term only.
TEST(Thesis6_4, AnAnswerOfAnEarlierTermConfirmsNothing) {
  LoneCore node;
  node.LeadAndCommit();
  node->RequestRead(ReadId(1), kSelf);
  node.Turn();
  node.Step(3, 2, HeartbeatReply{.round = RoundId(0)});
  node.Turn();
  ASSERT_THAT(node.reads, ElementsAre("read 1 aborted"));
  node.LeadAndCommit();
  node->RequestRead(ReadId(2), kSelf);
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=3 Heartbeat commit=2 round=1",
                                       "1->3 term=3 Heartbeat commit=0 round=1"));
  node.Step(2, 1, HeartbeatReply{.round = RoundId(1)});
  node.Step(3, 1, HeartbeatReply{.round = RoundId(1)});
  node.Turn();
  EXPECT_THAT(node.reads, ElementsAre("read 1 aborted"));
  node.Step(2, 3, HeartbeatReply{.round = RoundId(1)});
  node.Turn();
  EXPECT_THAT(node.reads, ElementsAre("read 1 aborted", "read 2 at 2"));
}

TEST(Thesis6_4, OnlyALeaderHasAReadIndex) {
  LoneCore node(FiveVoters(0, {}));
  node->RequestRead(ReadId(1), kSelf);
  node.TicksIn(RaftRole::kFollower);
  node->RequestRead(ReadId(2), kSelf);
  node.Step(2, 1, VoteReply{.pre_vote = true, .granted = true});
  node.Step(3, 1, VoteReply{.pre_vote = true, .granted = true});
  ASSERT_EQ(node->role(), RaftRole::kCandidate);
  node->RequestRead(ReadId(3), kSelf);
  node.Turn();
  EXPECT_THAT(node.reads, ElementsAre("read 1 aborted", "read 2 aborted", "read 3 aborted"));
}

}  // namespace
}  // namespace raftkv::raft
