// One RaftCore alone, fed by hand. What whole clusters do is told by the transcripts in
// tests/raft/testdata.
#include "raft/core/raft_core.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/raft/core/configurations.h"
#include "tests/support/lone_core.h"

namespace raftkv::raft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Node = LoneCore;

TEST(ElectionTest, TimeoutsAreDrawnFromOneToTwoTimeouts) {
  std::set<uint64_t> seen;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Node node(SomeState(0, {}), seed);
    const uint64_t ticks = node.TicksIn(RaftRole::kFollower);
    EXPECT_GE(ticks, kElectionTicks);
    EXPECT_LT(ticks, 2 * kElectionTicks);
    seen.insert(ticks);
  }
  EXPECT_GT(seen.size(), 80u) << "they must spread";
}

TEST(ElectionTest, RetriesComeWithinHalfATimeout) {
  std::set<uint64_t> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Node node(SomeState(0, {}), seed);
    node.TicksIn(RaftRole::kFollower);
    uint64_t ticks = 1;
    while (node.Tick(1).empty()) {
      ++ticks;
    }
    EXPECT_GE(ticks, kElectionTicks / 10);
    EXPECT_LE(ticks, kElectionTicks / 2);
    seen.insert(ticks);
  }
  EXPECT_GT(seen.size(), 20u);
}

TEST(ElectionTest, PreVotesAreNoVotes) {
  Node node;
  node.TicksIn(RaftRole::kFollower);
  node.Step(2, 0, VoteReply{.pre_vote = false, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kPreCandidate) << "a vote is no pre-vote";
  node.Step(2, 5, VoteReply{.pre_vote = true, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kPreCandidate) << "a pre-vote for another term";
  EXPECT_EQ(node->term(), Term(0));
  node.Step(2, 1, VoteReply{.pre_vote = true, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kCandidate);
  node.Turn();
  node.Step(3, 2, VoteReply{.pre_vote = true, .granted = true});
  node.Step(3, 1, VoteReply{.pre_vote = true, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kCandidate) << "a pre-vote is no vote";
  node.Step(3, 1, VoteReply{.pre_vote = false, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kLeader);
}

TEST(ElectionTest, VotesOfLearnersDoNotCount) {
  Node node;
  node.TicksIn(RaftRole::kFollower);
  node.Step(4, 1, VoteReply{.pre_vote = true, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kPreCandidate);
}

TEST(ElectionTest, LearnersGrantVotes) {
  Node learner(SomeState(0, {}), 1, /*self=*/4);
  learner.Step(2, 1, VoteRequest{.pre_vote = true, .last_entry = EntryId()});
  learner.Step(2, 1, VoteRequest{.pre_vote = false, .last_entry = EntryId()});
  EXPECT_THAT(learner.Turn(),
              ElementsAre("4->2 term=1 PreVoteReply granted", "4->2 term=1 VoteReply granted"));
}

TEST(ElectionTest, ShorterOrOlderLogsGetNoVote) {
  const std::map<std::string, EntryId> refused = {
      {"older term", Id(2, 9)}, {"shorter", Id(3, 1)}, {"empty", EntryId()}};
  for (const auto& [what, last_entry] : refused) {
    Node node(SomeState(3, {MakeEntry(1, 1), MakeEntry(3, 2)}));
    node.Step(2, 4, VoteRequest{.pre_vote = true, .last_entry = last_entry});
    node.Step(2, 4, VoteRequest{.pre_vote = false, .last_entry = last_entry});
    EXPECT_THAT(node.Turn(),
                ElementsAre("1->2 term=3 PreVoteReply refused", "1->2 term=4 VoteReply refused"))
        << what;
    EXPECT_EQ(node->vote(), kNobody);
  }
  for (EntryId last_entry : {Id(3, 2), Id(3, 3), Id(4, 1)}) {
    Node node(SomeState(3, {MakeEntry(1, 1), MakeEntry(3, 2)}));
    node.Step(2, 4, VoteRequest{.pre_vote = false, .last_entry = last_entry});
    EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=4 VoteReply granted"));
  }
}

TEST(ElectionTest, WhoHearsALeaderIgnoresOthers) {
  Node node;
  node.Step(2, 1, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  node.Tick(kElectionTicks - 1);
  node.Step(3, 2, VoteRequest{.pre_vote = true, .last_entry = EntryId()});
  node.Step(3, 2, VoteRequest{.pre_vote = false, .last_entry = EntryId()});
  EXPECT_THAT(node.Turn(), ElementsAre("1->3 term=1 PreVoteReply refused"));
  EXPECT_EQ(node->term(), Term(1));
  EXPECT_EQ(node->leader(), NodeId(2));
  // The leader itself may ask.
  node.Step(2, 2, VoteRequest{.pre_vote = true, .last_entry = EntryId()});
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=2 PreVoteReply granted"));
}

TEST(ElectionTest, AfterATimeoutOthersMayAsk) {
  Node node;
  node.Step(2, 1, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  node.Turn();
  node.Tick(kElectionTicks);
  node.Step(3, 2, VoteRequest{.pre_vote = false, .last_entry = EntryId()});
  EXPECT_THAT(node.Turn(), ElementsAre("1->3 term=2 VoteReply granted"));
}

// Another won the term while the disk was slow: what the votes were asked for with is old by then.
TEST(ElectionTest, WhoHasGivenUpAsksForNoVotes) {
  Node node;
  node.TicksIn(RaftRole::kFollower);
  node.Turn();
  node.SlowDisk();
  node.Step(2, 1, VoteReply{.pre_vote = true, .granted = true});
  ASSERT_EQ(node->role(), RaftRole::kCandidate);
  EXPECT_THAT(node.Turn(), IsEmpty());
  node.Step(3, 1, Append(EntryId(), {MakeEntry(1, 1)}));
  node.Turn();
  node->OnPersisted(node.last_write);
  EXPECT_THAT(node.Turn(), ElementsAre("1->3 term=1 AppendAccepted match=1"));
}

// It has heard its leader just now.
class FollowerOf final : public LoneCore {
 public:
  explicit FollowerOf(uint64_t leader, uint64_t self = 1) : LoneCore(SomeState(0, {}), 1, self) {
    Step(leader, 1, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
    Turn();
    events.clear();
  }
};

TEST(UnreachableLeaderTest, ItsFollowersTakeTurnsToAsk) {
  FollowerOf first(2);
  first->OnPeerUnreachable(NodeId(2));
  EXPECT_THAT(first.Tick(1), ElementsAre("1->2 term=2 PreVoteRequest last=0/0",
                                         "1->3 term=2 PreVoteRequest last=0/0"));
  EXPECT_THAT(first.events, ElementsAre("pre-candidate term=1 leader=nobody: leader 2 is gone: it "
                                        "takes no connection"));

  FollowerOf second(2, /*self=*/3);
  second->OnPeerUnreachable(NodeId(2));
  EXPECT_THAT(second.Tick(2), IsEmpty());
  EXPECT_THAT(second.Tick(1), ElementsAre("3->1 term=2 PreVoteRequest last=0/0",
                                          "3->2 term=2 PreVoteRequest last=0/0"));

  FollowerOf behind_the_leader(1, /*self=*/2);
  behind_the_leader->OnPeerUnreachable(NodeId(1));
  EXPECT_EQ(behind_the_leader.Tick(1).size(), 2u) << "the leader has no turn";
}

// That it is told again does not put its turn off.
TEST(UnreachableLeaderTest, IsNotLostTwice) {
  FollowerOf node(2, /*self=*/3);
  for (int i = 0; i < 3; ++i) {
    node->OnPeerUnreachable(NodeId(2));
    node.Tick(1);
  }
  EXPECT_EQ(node->role(), RaftRole::kPreCandidate);
}

TEST(UnreachableLeaderTest, KeepsNobodyFromAnotherLeader) {
  FollowerOf node(2);
  node->OnPeerUnreachable(NodeId(2));
  node.Step(3, 2, VoteRequest{.pre_vote = true, .last_entry = EntryId()});
  node.Step(3, 2, VoteRequest{.pre_vote = false, .last_entry = EntryId()});
  EXPECT_THAT(node.Turn(),
              ElementsAre("1->3 term=2 PreVoteReply granted", "1->3 term=2 VoteReply granted"));
}

TEST(UnreachableLeaderTest, IsFollowedOnWhenItIsHeard) {
  for (const bool by_a_part : {false, true}) {
    FollowerOf node(2);
    node->OnPeerUnreachable(NodeId(2));
    if (by_a_part) {
      node->OnPartHeard(NodeId(2), Term(1));
    } else {
      node.Step(2, 1, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
      node.Turn();
    }
    EXPECT_THAT(node.Tick(kElectionTicks - 1), IsEmpty());
    node.Step(3, 2, VoteRequest{.pre_vote = true, .last_entry = EntryId()});
    EXPECT_THAT(node.Turn(), ElementsAre("1->3 term=1 PreVoteReply refused"));
    EXPECT_EQ(node->leader(), NodeId(2));
  }
}

TEST(UnreachableLeaderTest, OtherPeersAreNotMissed) {
  FollowerOf node(2);
  node->OnPeerUnreachable(NodeId(3));
  node->OnPeerUnreachable(kNobody);
  EXPECT_THAT(node.Tick(kElectionTicks - 1), IsEmpty());
  EXPECT_EQ(node->leader(), NodeId(2));
}

TEST(UnreachableLeaderTest, LearnersOnlyLetGoOfIt) {
  FollowerOf learner(2, /*self=*/4);
  learner->OnPeerUnreachable(NodeId(2));
  EXPECT_THAT(learner.Tick(10), IsEmpty());
  EXPECT_EQ(learner->leader(), kNobody);
  EXPECT_EQ(learner->role(), RaftRole::kFollower);
}

TEST(ElectionTest, ALeaderIgnoresCandidates) {
  Node node;
  node.LeadAndCommit();
  node.Step(3, 9, VoteRequest{.pre_vote = true, .last_entry = Id(8, 8)});
  node.Step(3, 9, VoteRequest{.pre_vote = false, .last_entry = Id(8, 8)});
  EXPECT_THAT(node.Turn(), ElementsAre("1->3 term=1 PreVoteReply refused"));
  EXPECT_EQ(node->role(), RaftRole::kLeader);
}

TEST(ElectionTest, AHigherTermInAReplyEndsALeadership) {
  Node node;
  node.LeadAndCommit();
  node.Step(3, 9, HeartbeatReply{.round = RoundId(0)});
  node.Turn();
  EXPECT_EQ(node->role(), RaftRole::kFollower);
  EXPECT_EQ(node->term(), Term(9));
  EXPECT_THAT(node.events, ElementsAre("follower term=9 leader=nobody: higher term 9 from 3"));
}

TEST(ElectionTest, LeadersOfLowerTermsLearnTheHigherOne) {
  Node node(SomeState(5, {}));
  node.Step(2, 4, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(8)});
  node.Step(2, 4, Append(EntryId(), {}));
  node.Step(2, 4, VoteRequest{.pre_vote = false, .last_entry = EntryId()});
  EXPECT_THAT(node.Turn(),
              ElementsAre("1->2 term=5 HeartbeatReply round=0",
                          "1->2 term=5 HeartbeatReply round=0", "1->2 term=5 VoteReply refused"));
  EXPECT_EQ(node->leader(), kNobody);
}

TEST(DurabilityTest, NothingLeavesBeforeItsHardState) {
  Node node;
  node.SlowDisk();
  node.Step(2, 7, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(1)});
  node.Step(2, 7, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(2)});
  node.Step(2, 7, Append(EntryId(), {}));
  EXPECT_THAT(node.Turn(), IsEmpty());
  node->OnPersisted(node.last_write);
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=7 HeartbeatReply round=2",
                                       "1->2 term=7 AppendAccepted match=0"));
}

TEST(DurabilityTest, HeartbeatsAreAnsweredBeforeEntriesAreDurable) {
  Node node(SomeState(7, {}));
  node.SlowDisk();
  node.Step(2, 7, Append(EntryId(), {MakeEntry(7, 1)}));
  node.Step(2, 7, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(1)});
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=7 HeartbeatReply round=1"));
  node->OnPersisted(node.last_write);
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=7 AppendAccepted match=1"));
}

TEST(DurabilityTest, AcknowledgesOnlyWhatThisLeaderSaid) {
  // Entries 2 and 3 are durable, but whether this leader has them too is not known yet.
  Node node(SomeState(2, {MakeEntry(1, 1), MakeEntry(2, 2), MakeEntry(2, 3)}));
  node.Step(2, 3, Append(Id(1, 1), {}));
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=3 AppendAccepted match=1"));
  node.Step(2, 3, Append(Id(1, 1), {MakeEntry(2, 2)}));
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=3 AppendAccepted match=2"));
  EXPECT_EQ(node->last_entry(), Id(2, 3));
}

// The write began late, so the stall shows only when the node already asks for pre-votes.
TEST(DurabilityTest, APreCandidateWaitsForAStalledDiskToo) {
  Node node(SomeState(1, {}), /*seed=*/1);
  node.SlowDisk();
  node.Step(2, 1, Append(EntryId(), {MakeEntry(1, 1)}));
  for (uint64_t tick = 0; tick < kElectionTicks - 1; ++tick) {
    node->Tick();
  }
  EXPECT_THAT(node.Turn(), IsEmpty());
  const uint64_t asked_after = node.TicksIn(RaftRole::kFollower);
  ASSERT_EQ(node->role(), RaftRole::kPreCandidate);
  node.Tick(kElectionTicks - asked_after);
  EXPECT_THAT(node.Tick(3 * kElectionTicks), IsEmpty()) << "it asks for nothing meanwhile";
  node->OnPersisted(node.last_write);
  EXPECT_FALSE(node.Tick(kElectionTicks).empty()) << "it asks again";
}

TEST(DurabilityDeathTest, WriteIdsGoForward) {
  Node node;
  EXPECT_DEATH(node->OnPersisted(WriteId(1)), "Check failed");
  node.Lead();
  EXPECT_DEATH(node->OnPersisted(WriteId(1)), "Check failed");
  EXPECT_DEATH(node->OnPersisted(node.last_write.Next()), "Check failed");
}

TEST(FollowerTest, TakesTheCommitIndexOnlyAsFarAsItAgrees) {
  Node node(SomeState(2, {MakeEntry(1, 1), MakeEntry(2, 2), MakeEntry(2, 3)}));
  node.Step(2, 3, Append(Id(1, 1), {}, /*commit=*/9));
  node.Turn();
  EXPECT_EQ(node->commit_index(), LogIndex(1));
}

// A leader that leads again may still be sending what it began in an older term.
TEST(FollowerTest, APartOfAnOlderTermIsNoSignOfLife) {
  Node node;
  node.Step(2, 3, Append(EntryId(), {}));
  const auto hear_parts_of = [&](uint64_t term) {
    for (uint64_t tick = 0; tick < 3 * kElectionTicks; ++tick) {
      node->OnPartHeard(NodeId(2), Term(term));
      node.Tick(1);
    }
  };
  hear_parts_of(3);
  EXPECT_EQ(node->role(), RaftRole::kFollower);
  hear_parts_of(2);
  EXPECT_EQ(node->role(), RaftRole::kPreCandidate);
}

TEST(FollowerTest, WhatIsCommittedAgreesThoughMemoryForgotIt) {
  RestoredState state = SomeState(2, {MakeEntry(2, 6)});
  state.previous = Id(2, 5);
  state.applied = Id(2, 5);
  Node node(std::move(state));
  node.Step(2, 3,
            Append(Id(1, 2), {MakeEntry(2, 3), MakeEntry(2, 4), MakeEntry(2, 5), MakeEntry(3, 6),
                              MakeEntry(3, 7)}));
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=3 AppendAccepted match=7"));
  EXPECT_EQ(node->last_entry(), Id(3, 7));
  EXPECT_THAT(node.events, testing::Contains("truncated from 6: conflict with the leader"));
}

TEST(FollowerTest, HintsSkipTermsButNothingCommitted) {
  Node node(SomeState(
      5, {MakeEntry(1, 1), MakeEntry(2, 2), MakeEntry(4, 3), MakeEntry(4, 4), MakeEntry(5, 5)}));
  const auto hint = [&](EntryId previous) {
    node.Step(2, 6, Append(previous, {}));
    return node.Turn();
  };
  EXPECT_THAT(hint(Id(6, 9)), ElementsAre("1->2 term=6 AppendRejected index=9 hint=5/5"));
  EXPECT_THAT(hint(Id(4, 9)), ElementsAre("1->2 term=6 AppendRejected index=9 hint=4/4"));
  EXPECT_THAT(hint(Id(3, 4)), ElementsAre("1->2 term=6 AppendRejected index=4 hint=2/2"));
  EXPECT_THAT(hint(Id(2, 4)), ElementsAre("1->2 term=6 AppendRejected index=4 hint=2/2"));
  EXPECT_THAT(hint(Id(1, 2)), ElementsAre("1->2 term=6 AppendRejected index=2 hint=1/1"));
  node.Step(2, 6, Append(Id(4, 3), {}, /*commit=*/3));
  node.Turn();
  EXPECT_THAT(hint(Id(3, 4)), ElementsAre("1->2 term=6 AppendRejected index=4 hint=4/3"));
}

TEST(RefusalTest, BrokenMessagesChangeNothing) {
  Entry gap = MakeEntry(1, 3);
  Entry future = MakeEntry(9, 2);
  Entry early = MakeEntry(1, 3, /*stamp=*/4);
  const std::vector<std::pair<std::string, Envelope>> broken = {
      {"this is node 1", {NodeId(2), NodeId(3), Term(5), Heartbeat()}},
      {"no other member", {kNobody, NodeId(1), Term(5), Heartbeat()}},
      {"no other member", {NodeId(1), NodeId(1), Term(5), Heartbeat()}},
      {"out of range", {NodeId(2), NodeId(1), Term(UINT64_MAX), Heartbeat()}},
      {"out of range", {NodeId(2), NodeId(1), Term(5), Append(Id(1, UINT64_MAX), {})}},
      {"does not follow", {NodeId(2), NodeId(1), Term(5), Append(Id(1, 1), {gap})}},
      {"later term", {NodeId(2), NodeId(1), Term(5), Append(Id(1, 1), {future})}},
      {"later term", {NodeId(2), NodeId(1), Term(5), Append(Id(6, 1), {})}},
      {"goes back", {NodeId(2), NodeId(1), Term(5), Append(Id(1, 1), {MakeEntry(1, 2, 5), early})}},
      {"goes back", {NodeId(2), NodeId(1), Term(5), Append(Id(2, 1), {MakeEntry(1, 2)})}},
  };
  for (const auto& [reason, envelope] : broken) {
    Node node(SomeState(3, {MakeEntry(1, 1)}));
    node.Take(envelope);
    EXPECT_THAT(node.Turn(), IsEmpty());
    EXPECT_EQ(node->term(), Term(3));
    EXPECT_EQ(node->last_entry(), Id(1, 1));
    EXPECT_THAT(node.events, ElementsAre(HasSubstr(reason)));
  }
}

TEST(RefusalTest, AHeartbeatCannotCommitWhatIsNotThere) {
  Node node(SomeState(3, {MakeEntry(1, 1)}));
  node.Step(2, 4, Heartbeat{.commit_index = LogIndex(2), .round = RoundId(1)});
  EXPECT_THAT(node.Turn(), IsEmpty());
  EXPECT_EQ(node->term(), Term(3));
  EXPECT_EQ(node->commit_index(), LogIndex(0));
  EXPECT_THAT(node.events, ElementsAre(HasSubstr("Heartbeat commit=2 round=1: the log ends at 1")));
}

TEST(RefusalTest, AFollowerCannotHoldMoreThanItsLeader) {
  Node node;
  node.LeadAndCommit();
  node.Step(3, 1, AppendAccepted{.match_index = LogIndex(2)});
  node.Step(3, 1, HeartbeatReply{.round = RoundId(1)});
  EXPECT_THAT(node.Turn(), IsEmpty());
  EXPECT_EQ(node->progress(NodeId(3))->match_index(), LogIndex(0));
  EXPECT_THAT(node.events, ElementsAre(HasSubstr("AppendAccepted match=2: the log ends at 1"),
                                       HasSubstr("the round was not begun")));
}

TEST(LeaderTest, ProposalsOfATurnShareAMessage) {
  Node node;
  node.LeadAndCommit();
  EXPECT_EQ(*node->Propose("a", ClusterMillis(5)), Id(1, 2));
  EXPECT_EQ(*node->Propose("b", ClusterMillis(5)), Id(1, 3));
  EXPECT_EQ(node->uncommitted_entries(), 2u);
  EXPECT_THAT(node.Turn(),
              ElementsAre("1->2 term=1 AppendRequest previous=1/1 entries=1/2..1/3 commit=1"));
}

TEST(LeaderTest, StampsNeverGoBack) {
  Node node;
  node.LeadAndCommit();
  ASSERT_TRUE(node->Propose("a", ClusterMillis(50)).ok());
  ASSERT_TRUE(node->Propose("b", ClusterMillis(20)).ok());
  const Output output = node->TakeOutput();
  ASSERT_EQ(output.write->entries.size(), 2u);
  EXPECT_EQ(output.write->entries[0].stamp, ClusterMillis(50));
  EXPECT_EQ(output.write->entries[1].stamp, ClusterMillis(50));
}

TEST(LeaderTest, TheNoOpContinuesTheStampsOfTheLog) {
  RestoredState state = SomeState(2, {});
  state.previous = state.applied = Id(2, 5);
  state.previous_stamp = ClusterMillis(77);
  Node node(std::move(state));
  node.SlowDisk();
  while (node->role() != RaftRole::kLeader) {
    node.Tick(1);
    node.Step(2, node->term().value() + 1, VoteReply{.pre_vote = true, .granted = true});
    node.Turn();
    if (node.last_write == WriteId(1)) {
      node->OnPersisted(WriteId(1));
    }
    node.Step(2, node->term().value(), VoteReply{.pre_vote = false, .granted = true});
  }
  const Output output = node->TakeOutput();
  ASSERT_EQ(output.write->entries.size(), 1u);
  EXPECT_EQ(output.write->entries[0].kind, EntryKind::kNoOp);
  EXPECT_EQ(output.write->entries[0].stamp, ClusterMillis(77));
}

TEST(LeaderTest, OnlyALeaderTakesProposals) {
  Node node;
  EXPECT_EQ(node->Propose("a", ClusterMillis(0)).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(node->last_entry(), EntryId());
  EXPECT_EQ(node->uncommitted_entries(), 0u);
}

TEST(LeaderTest, ReadsOfATurnShareARound) {
  Node node;
  node.LeadAndCommit();
  node->RequestRead(ReadId(1), NodeId(1));
  node->RequestRead(ReadId(2), NodeId(1));
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=1 Heartbeat commit=1 round=1",
                                       "1->3 term=1 Heartbeat commit=0 round=1"));
  node.Step(4, 1, HeartbeatReply{.round = RoundId(1)});
  node.Turn();
  EXPECT_THAT(node.reads, IsEmpty()) << "a learner confirms nothing";
  node.Step(3, 1, HeartbeatReply{.round = RoundId(1)});
  node.Turn();
  EXPECT_THAT(node.reads, ElementsAre("read 1 at 1", "read 2 at 1"));
}

TEST(LeaderTest, AVoterThatAsksForAReadConfirmsIt) {
  Node node;
  node.LeadAndCommit();
  node->RequestRead(ReadId(1), NodeId(3));
  EXPECT_THAT(node.Turn(), IsEmpty()) << "no round is needed";
  EXPECT_THAT(node.reads, ElementsAre("read 1 at 1"));
}

TEST(LeaderTest, ALearnerThatAsksForAReadConfirmsNothing) {
  Node node;
  node.LeadAndCommit();
  node->RequestRead(ReadId(1), NodeId(4));
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=1 Heartbeat commit=1 round=1",
                                       "1->3 term=1 Heartbeat commit=0 round=1"));
  EXPECT_THAT(node.reads, IsEmpty());
}

TEST(LeaderTest, TellsTheCommitIndexOnceAndNoHigherThanTheMatch) {
  Node node;
  node.LeadAndCommit();
  node->SendCommitIndex();
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=1 Heartbeat commit=1 round=0"));
  node->SendCommitIndex();
  EXPECT_FALSE(node->HasOutput());
}

TEST(LeaderTest, StepsDownWithoutAQuorum) {
  Node node;
  node.LeadAndCommit();
  node->RequestRead(ReadId(1), NodeId(1));
  EXPECT_EQ(node.TicksIn(RaftRole::kLeader), kElectionTicks);
  EXPECT_THAT(node.reads, ElementsAre("read 1 aborted"));
  EXPECT_THAT(node.events,
              ElementsAre("follower term=1 leader=nobody: lost contact with a quorum"));
}

TEST(LeaderTest, OneVoterOfTwoOthersIsEnoughContact) {
  Node node;
  node.LeadAndCommit();
  for (uint64_t tick = 0; tick < 5 * kElectionTicks; ++tick) {
    node.Tick(1);
    node.Step(3, 1, HeartbeatReply{.round = RoundId(0)});
  }
  EXPECT_EQ(node->role(), RaftRole::kLeader);
}

TEST(LeaderTest, LearnersAreNoContact) {
  Node node;
  node.LeadAndCommit();
  for (uint64_t tick = 0; tick < kElectionTicks; ++tick) {
    node.Tick(1);
    node.Step(4, 1, HeartbeatReply{.round = RoundId(0)});
  }
  EXPECT_EQ(node->role(), RaftRole::kFollower);
}

TEST(LeaderTest, HeartbeatsComeAtTheirInterval) {
  Node node;
  node.LeadAndCommit();
  EXPECT_THAT(node.Tick(9), IsEmpty());
  EXPECT_THAT(node.Tick(1), ElementsAre("1->2 term=1 Heartbeat commit=1 round=1",
                                        "1->3 term=1 Heartbeat commit=0 round=1",
                                        "1->4 term=1 Heartbeat commit=0 round=1"));
}

TEST(LeaderDeathTest, LoadsThatNobodyAskedForAreBugs) {
  Node node;
  node.LeadAndCommit();
  EXPECT_DEATH(node->OnEntriesLoaded(NodeId(2), EntryId(), {MakeEntry(1, 1)}), "no load for 2");
}

// What it has is not to be trusted.
TEST(RetiredTest, ALeaderStepsDownAtOnceAndNeverCampaignsAgain) {
  Node node;
  node.LeadAndCommit();
  const Term term = node->term();
  node->RequestRead(ReadId(1), NodeId(1));
  node->Retire();
  EXPECT_EQ(node->role(), RaftRole::kFollower);
  node.Turn();
  EXPECT_THAT(node.events, ElementsAre("follower term=1 leader=nobody: must not lead any more"));
  EXPECT_THAT(node.reads, ElementsAre("read 1 aborted"));
  EXPECT_THAT(node.Tick(10 * kElectionTicks), IsEmpty());
  EXPECT_EQ(node->term(), term);
  node->Retire();
  EXPECT_EQ(node.events.size(), 1u);
}

TEST(RetiredTest, ACandidacyIsGivenUp) {
  Node node;
  node.TicksIn(RaftRole::kFollower);
  ASSERT_EQ(node->role(), RaftRole::kPreCandidate);
  node->Retire();
  node.Step(2, 1, VoteReply{.pre_vote = true, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kFollower);

  Node candidate;
  candidate.TicksIn(RaftRole::kFollower);
  candidate.Step(2, 1, VoteReply{.pre_vote = true, .granted = true});
  candidate.Turn();
  ASSERT_EQ(candidate->role(), RaftRole::kCandidate);
  candidate->Retire();
  candidate.Step(2, 1, VoteReply{.pre_vote = false, .granted = true});
  EXPECT_EQ(candidate->role(), RaftRole::kFollower);
}

TEST(RetiredTest, TheOnlyVoterStaysAFollowerToo) {
  RestoredState alone = SomeState(0, {});
  alone.configuration = Simple({1});
  Node node(alone);
  node.Tick(3);
  ASSERT_EQ(node->role(), RaftRole::kLeader);
  node->Retire();
  node.Tick(10 * kElectionTicks);
  EXPECT_EQ(node->role(), RaftRole::kFollower);
}

TEST(RaftCoreTest, EqualInputsGiveEqualOutputs) {
  Node first(SomeState(0, {}), 7);
  Node second(SomeState(0, {}), 7);
  for (int turn = 0; turn < 400; ++turn) {
    ASSERT_EQ(first.Tick(1), second.Tick(1));
    if (turn % 50 == 49) {
      const uint64_t term = first->term().value();
      first.Step(2, term + 1, VoteReply{.pre_vote = true, .granted = true});
      second.Step(2, term + 1, VoteReply{.pre_vote = true, .granted = true});
    }
  }
  EXPECT_EQ(first.events, second.events);
  EXPECT_FALSE(first.events.empty());
}

TEST(RaftCoreDeathTest, RestoredStateIsWellFormed) {
  EXPECT_DEATH(Node(SomeState(1, {MakeEntry(2, 1)})), "Check failed");
  EXPECT_DEATH(Node(SomeState(2, {MakeEntry(2, 2)})), "Check failed");
  RestoredState without_voters = SomeState(0, {});
  without_voters.configuration.voters.clear();
  EXPECT_DEATH(Node{without_voters}, "Check failed");
}

}  // namespace
}  // namespace raftkv::raft
