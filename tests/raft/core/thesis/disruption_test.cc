// Thesis §4.2.3 and §9.6, nodes that cannot win and must not disturb: one case per rule that a
// single node keeps. tests/raft/testdata/INDEX.md lists every rule with its test.
#include <utility>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/lone_core.h"

namespace raftkv::raft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Row 2: else a node could vote twice in a term.
TEST(Thesis9_6, APreVoteChangesNeitherTermNorVote) {
  RestoredState state = SomeState(4, {});
  state.hard_state.vote = NodeId(3);
  LoneCore node(std::move(state));
  node.Step(2, 5, VoteRequest{.pre_vote = true, .last_entry = EntryId()});
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=5 PreVoteReply granted"));
  EXPECT_EQ(node->term(), Term(4));
  EXPECT_EQ(node->vote(), NodeId(3));
  EXPECT_EQ(node.last_write, WriteId(0)) << "there is nothing to remember";
  node.Step(2, 4, VoteRequest{.pre_vote = false, .last_entry = EntryId()});
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=4 VoteReply refused"));
}

TEST(Thesis9_6, SeveralMayHaveThePreVoteOfOne) {
  LoneCore node;
  node.Step(2, 1, VoteRequest{.pre_vote = true, .last_entry = EntryId()});
  node.Step(3, 1, VoteRequest{.pre_vote = true, .last_entry = EntryId()});
  EXPECT_THAT(node.Turn(),
              ElementsAre("1->2 term=1 PreVoteReply granted", "1->3 term=1 PreVoteReply granted"));
}

TEST(Thesis9_6, ATermThatHasBegunNeedsNoPreVote) {
  LoneCore node(SomeState(4, {}));
  node.Step(2, 4, VoteRequest{.pre_vote = true, .last_entry = EntryId()});
  node.Step(3, 2, VoteRequest{.pre_vote = true, .last_entry = EntryId()});
  EXPECT_THAT(node.Turn(),
              ElementsAre("1->2 term=4 PreVoteReply refused", "1->3 term=4 PreVoteReply refused"));
}

TEST(Thesis9_6, AMajorityOfPreVotesComesBeforeANewTerm) {
  LoneCore node(FiveVoters(0, {}));
  node.TicksIn(RaftRole::kFollower);
  node.Step(2, 1, VoteReply{.pre_vote = true, .granted = true});
  node.Step(2, 1, VoteReply{.pre_vote = true, .granted = true});
  node.Step(3, 0, VoteReply{.pre_vote = true, .granted = false});
  EXPECT_EQ(node->role(), RaftRole::kPreCandidate);
  EXPECT_EQ(node->term(), Term(0));
  node.Step(4, 1, VoteReply{.pre_vote = true, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kCandidate);
  EXPECT_EQ(node->term(), Term(1));
}

TEST(Thesis9_6, ANodeThatIsCutOffKeepsItsTerm) {
  LoneCore node;
  node.Tick(50 * kElectionTicks);
  EXPECT_EQ(node->term(), Term(0));
  EXPECT_EQ(node->vote(), kNobody);
}

// A voter that refused in an earlier attempt may have granted a later one; replies overtake.
TEST(Thesis9_6, ALateRefusalTakesNoGrantBack) {
  LoneCore node(FiveVoters(0, {}));
  node.TicksIn(RaftRole::kFollower);
  node.Step(2, 1, VoteReply{.pre_vote = true, .granted = true});
  node.Step(2, 0, VoteReply{.pre_vote = true, .granted = false});
  node.Step(3, 1, VoteReply{.pre_vote = true, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kCandidate);
}

TEST(Thesis4_2_3, WhoHearsALeaderTakesNoHigherTermFromACandidate) {
  LoneCore node;
  node.Step(2, 1, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  node.Turn();
  node.Tick(kElectionTicks - 1);
  node.Step(3, 7, VoteRequest{.pre_vote = false, .last_entry = Id(6, 6)});
  EXPECT_THAT(node.Turn(), IsEmpty());
  EXPECT_EQ(node->term(), Term(1));
  EXPECT_EQ(node->vote(), kNobody);
  EXPECT_EQ(node->leader(), NodeId(2));
}

// It keeps elections as they are: whoever campaigns has waited for as long.
TEST(Thesis4_2_3, AfterTheShortestTimeoutItVotesAgain) {
  LoneCore node;
  node.Step(2, 1, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  node.Turn();
  node.Tick(kElectionTicks);
  node.Step(3, 7, VoteRequest{.pre_vote = false, .last_entry = Id(6, 6)});
  EXPECT_THAT(node.Turn(), ElementsAre("1->3 term=7 VoteReply granted"));
}

}  // namespace
}  // namespace raftkv::raft
