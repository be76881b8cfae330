// Thesis §3.3 and §3.4, terms and elections: one case per rule that a single node keeps. What takes
// a cluster is told by transcripts; tests/raft/testdata/INDEX.md lists every rule with its test.
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/lone_core.h"

namespace raftkv::raft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr uint64_t kSeeds = 50;

// Makes it a candidate, by the pre-votes of 2 and 3.
void Campaign(LoneCore& node) {
  node.TicksIn(RaftRole::kFollower);
  const uint64_t term = node->term().value() + 1;
  node.Step(2, term, VoteReply{.pre_vote = true, .granted = true});
  node.Step(3, term, VoteReply{.pre_vote = true, .granted = true});
  node.Turn();
  ASSERT_EQ(node->role(), RaftRole::kCandidate);
}

TEST(Thesis3_3, ACandidateThatSeesAHigherTermFollowsInIt) {
  const std::vector<Message> messages = {
      VoteRequest{.pre_vote = false, .last_entry = EntryId()},
      VoteReply{.pre_vote = false, .granted = false},
      VoteReply{.pre_vote = true, .granted = false},
      Append(EntryId(), {}),
      AppendAccepted{.match_index = LogIndex(0)},
      AppendRejected{.rejected_index = LogIndex(1), .hint = EntryId()},
      Heartbeat{.commit_index = LogIndex(0), .round = RoundId(1)},
      HeartbeatReply{.round = RoundId(0)},
  };
  for (const Message& message : messages) {
    LoneCore node(FiveVoters(0, {}));
    Campaign(node);
    node.Step(4, 9, message);
    EXPECT_EQ(node->role(), RaftRole::kFollower) << Describe(message);
    EXPECT_EQ(node->term(), Term(9)) << Describe(message);
    EXPECT_NE(node->vote(), NodeId(1)) << Describe(message);
  }
}

TEST(Thesis3_3, AnswersOfAnOldTermCountForNothing) {
  LoneCore candidate(FiveVoters(3, {}));
  Campaign(candidate);
  for (uint64_t voter = 2; voter <= 5; ++voter) {
    candidate.Step(voter, 3, VoteReply{.pre_vote = false, .granted = true});
  }
  EXPECT_EQ(candidate->role(), RaftRole::kCandidate);

  LoneCore leader(SomeState(3, {MakeEntry(3, 1)}));
  leader.LeadAndCommit();
  leader->RequestRead(ReadId(1), NodeId(1));
  leader.Turn();
  leader.Step(3, 3, AppendAccepted{.match_index = LogIndex(2)});
  leader.Step(3, 3, HeartbeatReply{.round = RoundId(1)});
  leader.Turn();
  EXPECT_EQ(leader->progress(NodeId(3))->match_index(), LogIndex(0));
  EXPECT_THAT(leader.reads, IsEmpty());
}

TEST(Thesis3_4, ANodeStartsAsAFollowerWhateverItWas) {
  RestoredState led = SomeState(5, {MakeEntry(5, 1)});
  led.hard_state.vote = NodeId(1);
  LoneCore node(std::move(led));
  EXPECT_EQ(node->role(), RaftRole::kFollower);
  EXPECT_EQ(node->leader(), kNobody);
  EXPECT_THAT(node.Turn(), IsEmpty());
}

TEST(Thesis3_4, AFollowerStaysOneWhileItHearsALeader) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    LoneCore node(SomeState(1, {}), seed);
    for (int time = 0; time < 5; ++time) {
      node.Tick(kElectionTicks - 1);
      EXPECT_EQ(node->role(), RaftRole::kFollower) << "seed " << seed;
      node.Step(2, 1, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
      node.Tick(kElectionTicks - 1);
      EXPECT_EQ(node->role(), RaftRole::kFollower) << "seed " << seed;
      node.Step(2, 1, Append(EntryId(), {}));
    }
  }
}

TEST(Thesis3_4, WhoGivesItsVoteWaitsForTheCandidate) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    LoneCore node(SomeState(1, {}), seed);
    node.Tick(kElectionTicks - 1);
    node.Step(2, 1, VoteRequest{.pre_vote = false, .last_entry = EntryId()});
    ASSERT_EQ(node->vote(), NodeId(2));
    node.Tick(kElectionTicks - 1);
    EXPECT_EQ(node->role(), RaftRole::kFollower) << "seed " << seed;
  }
}

// What is refused, and what comes from an old term, keeps nobody from campaigning.
TEST(Thesis3_4, WhoRefusesDoesNotWait) {
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    LoneCore node(SomeState(3, {MakeEntry(3, 1)}), seed);
    for (uint64_t tick = 0; tick < 2 * kElectionTicks - 1; ++tick) {
      node.Tick(1);
      node.Step(2, 3, VoteRequest{.pre_vote = false, .last_entry = EntryId()});
      node.Step(3, 2, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
      node.Step(3, 2, Append(EntryId(), {}));
    }
    EXPECT_EQ(node->role(), RaftRole::kPreCandidate) << "seed " << seed;
  }
}

TEST(Thesis3_4, ACandidateNeedsAMajorityOfDifferentVoters) {
  LoneCore node(FiveVoters(0, {}));
  Campaign(node);
  node.Step(2, 1, VoteReply{.pre_vote = false, .granted = true});
  node.Step(2, 1, VoteReply{.pre_vote = false, .granted = true});
  node.Step(3, 1, VoteReply{.pre_vote = false, .granted = false});
  EXPECT_EQ(node->role(), RaftRole::kCandidate);
  node.Step(4, 1, VoteReply{.pre_vote = false, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kLeader);
}

TEST(Thesis3_4, AWinnerTellsEverybodyAtOnce) {
  LoneCore node(FiveVoters(0, {}));
  Campaign(node);
  node.Step(2, 1, VoteReply{.pre_vote = false, .granted = true});
  node.Step(3, 1, VoteReply{.pre_vote = false, .granted = true});
  EXPECT_THAT(node.Turn(),
              ElementsAre("1->2 term=1 AppendRequest previous=0/0 entries=nothing commit=0",
                          "1->3 term=1 AppendRequest previous=0/0 entries=nothing commit=0",
                          "1->4 term=1 AppendRequest previous=0/0 entries=nothing commit=0",
                          "1->5 term=1 AppendRequest previous=0/0 entries=nothing commit=0"));
}

TEST(Thesis3_4, ACandidateFollowsALeaderOfItsOwnTerm) {
  const std::vector<Message> messages = {
      Append(EntryId(), {}), Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)}};
  for (const Message& message : messages) {
    LoneCore node(FiveVoters(0, {}));
    Campaign(node);
    node.Step(4, 1, message);
    EXPECT_EQ(node->role(), RaftRole::kFollower);
    EXPECT_EQ(node->leader(), NodeId(4));
    EXPECT_EQ(node->term(), Term(1));
    EXPECT_EQ(node->vote(), NodeId(1)) << "the vote of a term is given once";
  }
}

TEST(Thesis3_4, ACandidateRefusesALeaderOfAnOlderTerm) {
  LoneCore node(FiveVoters(5, {}));
  Campaign(node);
  node.Step(4, 5, Append(EntryId(), {MakeEntry(5, 1)}));
  node.Step(4, 5, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(1)});
  EXPECT_EQ(node->role(), RaftRole::kCandidate);
  EXPECT_EQ(node->last_entry(), EntryId());
  EXPECT_THAT(node.Turn(), ElementsAre("1->4 term=6 HeartbeatReply round=0",
                                       "1->4 term=6 HeartbeatReply round=0"));
}

TEST(Thesis3_4, ACandidateThatGetsNoMajorityTriesAgainInTheNextTerm) {
  LoneCore node(FiveVoters(0, {}));
  Campaign(node);
  EXPECT_LE(node.TicksIn(RaftRole::kCandidate), kElectionTicks);
  ASSERT_EQ(node->role(), RaftRole::kPreCandidate);
  EXPECT_EQ(node->term(), Term(1));
  node.Step(2, 2, VoteReply{.pre_vote = true, .granted = true});
  node.Step(3, 2, VoteReply{.pre_vote = true, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kCandidate);
  EXPECT_EQ(node->term(), Term(2));
  EXPECT_EQ(node->vote(), NodeId(1));
  EXPECT_THAT(node.Turn(),
              ElementsAre("1->2 term=2 VoteRequest last=0/0", "1->3 term=2 VoteRequest last=0/0",
                          "1->4 term=2 VoteRequest last=0/0", "1->5 term=2 VoteRequest last=0/0"));
}

}  // namespace
}  // namespace raftkv::raft
