// Snapshots, one core alone: thesis §5. Node 1 of voters 1, 2, 3 and learner 4.
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
using Use = RaftCore::SnapshotUse;

SnapshotPoint Point(uint64_t term, uint64_t index, uint64_t stamp = 0) {
  return {.last = Id(term, index), .stamp = ClusterMillis(stamp)};
}

SnapshotMeta Meta(const SnapshotPoint& point,
                  Configuration configuration = Simple({1, 2, 3}, {4})) {
  return {.point = point, .configuration = std::move(configuration)};
}

// A follower of 2 in term 3 with entries 1/1 1/2 2/3 2/4, all durable, committed up to 2.
class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest() : node_(State()) {
    node_.Step(2, 3, Append(Id(1, 2), {}, /*commit=*/2));
    node_.Turn();
    node_.events.clear();
  }
  static RestoredState State() {
    return SomeState(3, {MakeEntry(1, 1), MakeEntry(1, 2), MakeEntry(2, 3), MakeEntry(2, 4)});
  }

  void Install(const SnapshotPoint& point, Configuration configuration = Simple({1, 2, 3}, {4})) {
    ASSERT_NE(node_->BeginInstall(point, Term(3)), Use::kNone);
    node_.Turn();
    node_->OnInstalled(Meta(point, std::move(configuration)));
  }

  LoneCore node_;
};

TEST_F(SnapshotTest, IsOfUseWhereItBringsTheNodeFurther) {
  const auto use_of = [&](uint64_t term, uint64_t index, uint64_t of = 3) {
    return node_->UseOf(Point(term, index), Term(of));
  };
  EXPECT_EQ(use_of(1, 1), Use::kNone) << "it has committed more";
  EXPECT_EQ(use_of(1, 2), Use::kNone) << "it has committed as much";
  EXPECT_EQ(use_of(2, 2), Use::kNone) << "what is committed is not replaced, whatever it says";
  EXPECT_EQ(use_of(2, 3), Use::kKeepsLog);
  EXPECT_EQ(use_of(2, 4), Use::kKeepsLog);
  EXPECT_EQ(use_of(3, 3), Use::kReplacesLog) << "the log contradicts it";
  EXPECT_EQ(use_of(1, 3), Use::kReplacesLog);
  EXPECT_EQ(use_of(2, 5), Use::kReplacesLog) << "the log ends before it";
  EXPECT_EQ(use_of(2, 5, 2), Use::kNone) << "of an older term";
  EXPECT_EQ(use_of(2, 5, 4), Use::kNone) << "of a term that it does not know of";
  EXPECT_EQ(use_of(4, 5), Use::kNone) << "its leader cannot have that";
}

TEST_F(SnapshotTest, WhatNoLeaderSendsIsOfNoUse) {
  node_.Step(2, 3, Append(Id(2, 4), {MakeEntry(2, 5, 70)}, /*commit=*/2));
  node_.Turn();
  EXPECT_EQ(node_->UseOf(Point(3, 4), Term(3)), Use::kNone) << "they agree on another entry there";
  EXPECT_EQ(node_->UseOf(Point(2, 4), Term(3)), Use::kKeepsLog);
  node_.Step(2, 3, Append(Id(2, 5), {}, /*commit=*/5));
  node_.Turn();
  EXPECT_EQ(node_->UseOf(Point(1, 9, 70), Term(3)), Use::kNone) << "terms never fall along a log";
  EXPECT_EQ(node_->UseOf(Point(2, 9, 69), Term(3)), Use::kNone) << "stamps do not either";
  EXPECT_EQ(node_->UseOf(Point(2, 9, 70), Term(3)), Use::kReplacesLog);
}

TEST_F(SnapshotTest, OfNoUseItChangesNothing) {
  for (const SnapshotPoint& point : {Point(1, 1), Point(1, 2), Point(2, 2)}) {
    EXPECT_EQ(node_->BeginInstall(point, Term(3)), Use::kNone);
  }
  EXPECT_EQ(node_->BeginInstall(Point(2, 9), Term(2)), Use::kNone);
  EXPECT_FALSE(node_->is_installing());
  EXPECT_FALSE(node_->HasOutput());
  EXPECT_EQ(node_->last_entry(), Id(2, 4));
  node_.Step(2, 3, Append(Id(2, 4), {MakeEntry(3, 5)}, 5));
  node_.Turn();
  EXPECT_EQ(node_->applied_index(), LogIndex(5)) << "it goes on as ever";
}

TEST(SnapshotOfLeaderTest, WhoLedTheTermTakesNone) {
  LoneCore node;
  node.LeadAndCommit();
  EXPECT_EQ(node->UseOf(Point(1, 9), Term(1)), Use::kNone);
  node.Tick(2 * kElectionTicks);
  ASSERT_NE(node->role(), RaftRole::kLeader);
  ASSERT_EQ(node->term(), Term(1));
  EXPECT_EQ(node->UseOf(Point(1, 9), Term(1)), Use::kNone);
}

TEST_F(SnapshotTest, ALogThatEndsBeforeItBeginsAnewAfterIt) {
  Install(Point(2, 9, 70));
  EXPECT_EQ(node_->last_entry(), Id(2, 9));
  EXPECT_EQ(node_->last_stamp(), ClusterMillis(70));
  EXPECT_EQ(node_->commit_index(), LogIndex(9));
  EXPECT_EQ(node_->applied_index(), LogIndex(9));
  EXPECT_EQ(node_->durable_index(), LogIndex(9));
  EXPECT_THAT(node_.Turn(), ElementsAre("1->2 term=3 AppendAccepted match=9"));
  EXPECT_THAT(node_.events, ElementsAre("installed a snapshot up to 9: the log did not hold its "
                                        "last entry and begins anew after it"));
  node_.Step(2, 3, Append(Id(2, 9), {MakeEntry(3, 10, 70)}, 10));
  EXPECT_THAT(node_.Turn(), ElementsAre("1->2 term=3 AppendAccepted match=10"));
  EXPECT_EQ(node_->applied_index(), LogIndex(10));
}

TEST_F(SnapshotTest, AConflictingSuffixGoes) {
  Install(Point(3, 3));
  EXPECT_EQ(node_->last_entry(), Id(3, 3));
  EXPECT_EQ(node_->durable_index(), LogIndex(3));
  EXPECT_THAT(node_.Turn(), ElementsAre("1->2 term=3 AppendAccepted match=3"))
      << "what goes was never agreed on";
}

TEST_F(SnapshotTest, AMatchingSuffixStays) {
  Install(Point(2, 3));
  EXPECT_EQ(node_->last_entry(), Id(2, 4));
  EXPECT_EQ(node_->commit_index(), LogIndex(3));
  EXPECT_EQ(node_->applied_index(), LogIndex(3));
  EXPECT_THAT(node_.Turn(), ElementsAre("1->2 term=3 AppendAccepted match=3"));
  EXPECT_THAT(node_.events, ElementsAre("installed a snapshot up to 3: the log holds its last "
                                        "entry and stays"));
  node_.Step(2, 3, Append(Id(2, 4), {MakeEntry(3, 5)}, 5));
  EXPECT_THAT(node_.Turn(), ElementsAre("1->2 term=3 AppendAccepted match=5"));
  EXPECT_EQ(node_->applied_index(), LogIndex(5));
}

// The log store was told what stays of the log; the point may be durable before that is.
TEST_F(SnapshotTest, TheLogStandsStillWhileOneIsInstalled) {
  ASSERT_EQ(node_->BeginInstall(Point(3, 3), Term(3)), Use::kReplacesLog);
  node_.Step(2, 3, Append(Id(2, 4), {MakeEntry(3, 5)}, 5));
  node_.Step(2, 3, Append(Id(2, 4), {}, 4));
  node_.Step(2, 3, Append(Id(2, 9), {}, 4));
  node_.Step(2, 3, Heartbeat{.commit_index = LogIndex(4), .round = RoundId(0)});
  EXPECT_THAT(node_.Turn(), IsEmpty());
  EXPECT_EQ(node_->last_entry(), Id(2, 4));
  EXPECT_EQ(node_->commit_index(), LogIndex(2));
  node_.Step(2, 3, Heartbeat{.commit_index = LogIndex(2), .round = RoundId(7)});
  EXPECT_THAT(node_.Turn(), ElementsAre("1->2 term=3 HeartbeatReply round=7"))
      << "it is there all the same";
  node_->OnInstalled(Meta(Point(3, 3)));
  EXPECT_EQ(node_->last_entry(), Id(3, 3));
}

TEST_F(SnapshotTest, NothingIsHandedOutWhileOneIsInstalled) {
  // 4 is committed, but not durable, so it waits.
  node_.SlowDisk();
  node_.Step(2, 3, Append(Id(2, 4), {MakeEntry(3, 5), MakeEntry(3, 6)}, 5));
  node_.Turn();
  ASSERT_EQ(node_->applied_index(), LogIndex(4));
  ASSERT_EQ(node_->commit_index(), LogIndex(5));
  ASSERT_EQ(node_->BeginInstall(Point(3, 6), Term(3)), Use::kKeepsLog);
  node_->OnPersisted(node_.last_write);
  for (const std::string& sent : node_.Turn()) {
    EXPECT_EQ(sent, "1->2 term=3 AppendAccepted match=6");
  }
  EXPECT_EQ(node_->applied_index(), LogIndex(4)) << "5 is committed and durable";
  node_->OnInstalled(Meta(Point(3, 6)));
  EXPECT_EQ(node_->applied_index(), LogIndex(6));
  EXPECT_THAT(node_.Turn(), ElementsAre("1->2 term=3 AppendAccepted match=6"));
}

TEST_F(SnapshotTest, WhoInstallsDoesNotCampaign) {
  ASSERT_EQ(node_->BeginInstall(Point(2, 9), Term(3)), Use::kReplacesLog);
  EXPECT_THAT(node_.Tick(5 * kElectionTicks), IsEmpty());
  EXPECT_EQ(node_->role(), RaftRole::kFollower);
  node_->OnInstalled(Meta(Point(2, 9)));
  EXPECT_THAT(node_.Turn(), IsEmpty()) << "it follows nobody by now";
  EXPECT_THAT(node_.Tick(2 * kElectionTicks), Contains("1->2 term=4 PreVoteRequest last=2/9"));
}

// A vote rests on the log that was there before: nothing that it acknowledged is in what goes.
TEST_F(SnapshotTest, WhoInstallsVotesAndFollowsTheNextLeader) {
  node_.SlowDisk();
  ASSERT_EQ(node_->BeginInstall(Point(2, 9), Term(3)), Use::kReplacesLog);
  node_.Tick(kElectionTicks);
  node_.Step(3, 4, VoteRequest{.pre_vote = false, .last_entry = Id(1, 9)});
  node_.Turn();
  node_.Step(3, 4, VoteRequest{.pre_vote = false, .last_entry = Id(2, 4)});
  node_.Turn();
  const WriteId vote = node_.last_write;
  EXPECT_EQ(node_->vote(), NodeId(3));
  // Its write was under way when the snapshot became durable.
  node_->OnInstalled(Meta(Point(2, 9)));
  EXPECT_THAT(node_.Turn(), IsEmpty());
  node_->OnPersisted(vote);
  EXPECT_THAT(node_.Turn(),
              ElementsAre("1->3 term=4 VoteReply refused", "1->3 term=4 VoteReply granted"));
  EXPECT_EQ(node_->durable_index(), LogIndex(9));
  node_.Step(3, 4, Append(Id(2, 9), {MakeEntry(4, 10)}, 9));
  node_.Turn();
  node_->OnPersisted(node_.last_write);
  EXPECT_THAT(node_.Turn(), ElementsAre("1->3 term=4 AppendAccepted match=10"));
}

TEST_F(SnapshotTest, ANewLeaderHearsOfItAtOnce) {
  ASSERT_EQ(node_->BeginInstall(Point(2, 9), Term(3)), Use::kReplacesLog);
  node_.Step(3, 4, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  node_.Turn();
  node_->OnInstalled(Meta(Point(2, 9)));
  EXPECT_THAT(node_.Turn(), ElementsAre("1->3 term=4 AppendAccepted match=9"))
      << "what is committed is in every later leader's log";
}

TEST_F(SnapshotTest, ACandidateOfTheTermFollows) {
  LoneCore node(State());
  node.TicksIn(RaftRole::kFollower);
  node.Step(2, 4, VoteReply{.pre_vote = true, .granted = true});
  node.Turn();
  ASSERT_EQ(node->role(), RaftRole::kCandidate);
  EXPECT_EQ(node->BeginInstall(Point(2, 9), Term(4)), Use::kReplacesLog);
  EXPECT_EQ(node->role(), RaftRole::kFollower);
  node.Step(2, 4, VoteReply{.pre_vote = false, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kFollower) << "somebody else leads the term";
  node->OnInstalled(Meta(Point(2, 9)));
  EXPECT_EQ(node->applied_index(), LogIndex(9));
}

TEST_F(SnapshotTest, AppendsThatBeginBeforeTheLogAreTakenFromWhereItEnds) {
  Install(Point(2, 9));
  node_.Turn();
  node_.Step(2, 3, Append(Id(2, 7), {MakeEntry(2, 8), MakeEntry(2, 9), MakeEntry(3, 10)}));
  EXPECT_THAT(node_.Turn(), ElementsAre("1->2 term=3 AppendAccepted match=10"));
  EXPECT_EQ(node_->last_entry(), Id(3, 10));
  node_.Step(2, 3, Append(Id(2, 4), {}));
  EXPECT_THAT(node_.Turn(), ElementsAre("1->2 term=3 AppendAccepted match=10"));
  // A hint says what can still be looked up.
  node_.Step(2, 3, Append(Id(3, 12), {}));
  EXPECT_THAT(node_.Turn(), ElementsAre("1->2 term=3 AppendRejected index=12 hint=3/10"));
}

TEST_F(SnapshotTest, WhatContradictsItIsRefused) {
  Install(Point(2, 9, 70));
  node_.Turn();
  node_.events.clear();
  node_.Step(2, 3, Append(Id(2, 8), {MakeEntry(3, 9)}));
  EXPECT_THAT(node_.events, ElementsAre(HasSubstr("contradicts entry 2/9")));
  node_.events.clear();
  node_.Step(2, 3, Append(Id(2, 9), {MakeEntry(3, 10, /*stamp=*/69)}));
  EXPECT_THAT(node_.events, ElementsAre(HasSubstr("before the entry that it follows: 70")));
}

TEST_F(SnapshotTest, ItsConfigurationCounts) {
  Install(Point(2, 9), Joint({1, 5}, {1, 2, 3}));
  EXPECT_EQ(node_->configuration(), Joint({1, 5}, {1, 2, 3}));
  node_.Turn();
  EXPECT_THAT(node_.events, Contains("configuration of 0: voters=(1 5) outgoing=(1 2 3): the "
                                     "newest in the log"));
}

// openraft#1808: with it, two quorums need not meet.
TEST_F(SnapshotTest, AnUncommittedConfigurationOfALogThatGoesCountsNoMore) {
  node_.Step(2, 3, Append(Id(2, 4), {MakeConfigurationEntry(3, 5, Joint({1, 9}, {1, 2, 3}))}));
  node_.Turn();
  ASSERT_TRUE(node_->configuration().IsJoint());
  node_.Step(3, 4, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  node_.Turn();
  ASSERT_EQ(node_->BeginInstall(Point(4, 5), Term(4)), Use::kReplacesLog);
  node_->OnInstalled(Meta(Point(4, 5)));
  EXPECT_EQ(node_->configuration(), Simple({1, 2, 3}, {4}));
}

TEST_F(SnapshotTest, AConfigurationAfterItInALogThatStaysCounts) {
  node_.Step(2, 3, Append(Id(2, 4), {MakeConfigurationEntry(3, 5, Joint({1, 9}, {1, 2, 3}))}));
  node_.Turn();
  Install(Point(2, 4));
  EXPECT_EQ(node_->configuration(), Joint({1, 9}, {1, 2, 3}));
  // It is not committed, so it can go.
  node_.Turn();
  node_.Step(3, 4, Append(Id(2, 4), {MakeEntry(4, 5)}));
  EXPECT_EQ(node_->configuration(), Simple({1, 2, 3}, {4}));
}

TEST_F(SnapshotTest, WhoLeadsNextCountsFromThere) {
  Install(Point(2, 9));
  node_.Turn();
  node_.Lead();
  EXPECT_EQ(node_->last_entry(), Id(4, 10));
  node_.Step(2, 4, AppendAccepted{.match_index = LogIndex(9)});
  node_.Turn();
  node_.Step(2, 4, AppendAccepted{.match_index = LogIndex(10)});
  EXPECT_EQ(node_->commit_index(), LogIndex(10));
  EXPECT_TRUE(node_->Propose("x", ClusterMillis(0)).ok());
}

TEST(SnapshotOfLeaderTest, WantsOneWhereTheLogDoesNotReachBack) {
  RestoredState state = SomeState(1, {MakeEntry(1, 8), MakeEntry(1, 9)});
  state.previous = Id(1, 7);
  state.applied = Id(1, 9);
  LoneCore node(std::move(state));
  node.Lead();
  node.Step(3, 2, AppendRejected{.rejected_index = LogIndex(9), .hint = Id(1, 3)});
  Output output = node->TakeOutput();
  ASSERT_EQ(output.loads.size(), 1u);
  EXPECT_EQ(output.loads[0].first, LogIndex(4));
  node->OnEntriesTrimmed(NodeId(3));
  EXPECT_TRUE(node->HasOutput());
  EXPECT_THAT(node->TakeOutput().snapshots, ElementsAre(NodeId(3)));
  EXPECT_FALSE(node->HasOutput());
  EXPECT_EQ(node->progress(NodeId(3))->state(), FollowerProgress::State::kSnapshot);
  EXPECT_THAT(node.Tick(30), testing::Not(Contains(HasSubstr("1->3 term=2 Append"))));
  // How far it is by then only the follower knows.
  node->OnSnapshotEnded(NodeId(3));
  EXPECT_THAT(node.Turn(), ElementsAre("1->3 term=2 AppendRequest previous=2/10 entries=nothing "
                                       "commit=9"));
  node->OnSnapshotEnded(NodeId(3));
  node->OnSnapshotEnded(NodeId(9));
  EXPECT_THAT(node.Turn(), IsEmpty());
}

TEST(SnapshotOfLeaderTest, WantsNoneWhenItLeadsNoMore) {
  RestoredState state = SomeState(1, {MakeEntry(1, 9)});
  state.previous = Id(1, 8);
  state.applied = Id(1, 9);
  LoneCore node(std::move(state));
  node.Lead();
  node.Step(3, 2, AppendRejected{.rejected_index = LogIndex(9), .hint = Id(1, 3)});
  ASSERT_EQ(node->TakeOutput().loads.size(), 1u);
  node->OnEntriesTrimmed(NodeId(3));
  node.Step(2, 3, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  EXPECT_THAT(node->TakeOutput().snapshots, IsEmpty());
}

TEST(SnapshotOfLeaderTest, WantsNoneForWhoHasComeFurtherMeanwhile) {
  RestoredState state = SomeState(1, {MakeEntry(1, 8), MakeEntry(1, 9)});
  state.previous = Id(1, 7);
  state.applied = Id(1, 9);
  LoneCore node(std::move(state));
  node.Lead();
  node.Step(3, 2, AppendRejected{.rejected_index = LogIndex(9), .hint = Id(1, 3)});
  ASSERT_EQ(node->TakeOutput().loads.size(), 1u);
  node.Step(3, 2, AppendAccepted{.match_index = LogIndex(9)});
  node.Turn();
  node->OnEntriesTrimmed(NodeId(3));
  EXPECT_EQ(node->progress(NodeId(3))->state(), FollowerProgress::State::kReplicate);
  EXPECT_FALSE(node->HasOutput()) << "the answer is about what it does not lack any more";
}

class HeldByAllTest : public testing::Test {
 protected:
  HeldByAllTest() : node_(FiveVoters(0, {})) { node_.Lead({2, 3}); }
  void Acknowledge(const std::vector<uint64_t>& who, uint64_t match) {
    for (uint64_t from : who) {
      node_.Step(from, 1, AppendAccepted{.match_index = LogIndex(match)});
    }
    node_.Turn();
  }

  LoneCore node_;
};

TEST_F(HeldByAllTest, IsWhatTheLastOfAllMembersAcknowledged) {
  EXPECT_EQ(node_->held_by_all(), LogIndex(0));
  Acknowledge({2, 3, 4}, 1);
  EXPECT_EQ(node_->held_by_all(), LogIndex(0)) << "nothing is known of 5";
  Acknowledge({5}, 1);
  EXPECT_EQ(node_->held_by_all(), LogIndex(1));
  ASSERT_TRUE(node_->Propose("x", ClusterMillis(0)).ok());
  node_.Turn();
  Acknowledge({2, 3, 4}, 2);
  EXPECT_EQ(node_->held_by_all(), LogIndex(1));
  EXPECT_THAT(node_.Tick(10), Contains("1->4 term=1 Heartbeat commit=2 round=1 held=1"));
}

TEST_F(HeldByAllTest, IsNoMoreThanWhatTheLeaderItselfHasSynced) {
  Acknowledge({2, 3, 4, 5}, 1);
  node_.SlowDisk();
  ASSERT_TRUE(node_->Propose("x", ClusterMillis(0)).ok());
  node_.Turn();
  Acknowledge({2, 3, 4, 5}, 2);
  EXPECT_EQ(node_->commit_index(), LogIndex(2)) << "a majority holds it";
  EXPECT_EQ(node_->held_by_all(), LogIndex(1));
  node_->OnPersisted(node_.last_write);
  EXPECT_EQ(node_->held_by_all(), LogIndex(2));
}

TEST_F(HeldByAllTest, ANewMemberHoldsNothing) {
  Acknowledge({2, 3, 4, 5}, 1);
  ASSERT_TRUE(node_->ProposeConfiguration(Simple({1, 2, 3, 4, 5}, {6}), "", ClusterMillis(0)).ok());
  node_.Turn();
  EXPECT_EQ(node_->held_by_all(), LogIndex(0));
}

TEST(HeldByAllOfFollowerTest, IsWhatItsLeaderToldLast) {
  LoneCore node(SomeState(3, {MakeEntry(1, 1), MakeEntry(1, 2)}));
  const auto tell = [&](uint64_t from, uint64_t term, uint64_t held) {
    node.Step(
        from, term,
        Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0), .held_by_all = LogIndex(held)});
    return node->held_by_all().value();
  };
  EXPECT_EQ(node->held_by_all(), LogIndex(0));
  EXPECT_EQ(tell(2, 3, 2), 2u);
  EXPECT_EQ(tell(2, 3, 1), 1u) << "there may be a new member";
  EXPECT_EQ(node->commit_index(), LogIndex(0)) << "it says nothing of that";
  EXPECT_EQ(tell(3, 2, 2), 1u) << "of an older term";
  EXPECT_EQ(tell(2, 3, 3), 1u) << "this node does not hold that";
  EXPECT_THAT(node.events, Contains(HasSubstr("refused 2->1 term=3 Heartbeat commit=0 round=0 "
                                              "held=3: the log ends at 2")));
  node.Step(3, 4, Append(Id(1, 2), {}));
  EXPECT_EQ(node->held_by_all(), LogIndex(0)) << "another leader may know of others";
  EXPECT_EQ(tell(3, 4, 2), 2u);
  node.Tick(3 * kElectionTicks);
  EXPECT_EQ(node->held_by_all(), LogIndex(0)) << "a candidate knows nothing";
}

TEST_F(SnapshotTest, MisuseIsABug) {
  EXPECT_DEATH(node_->OnInstalled(Meta(Point(2, 9))), "Check failed");
  node_.Step(2, 3, Append(Id(2, 4), {MakeEntry(3, 5)}));
  EXPECT_DEATH(node_->BeginInstall(Point(2, 9), Term(3)), "Check failed") << "5 is not written";
  node_.Turn();
  node_->BeginInstall(Point(2, 9), Term(3));
  EXPECT_DEATH(node_->BeginInstall(Point(2, 10), Term(3)), "Check failed");
  EXPECT_DEATH(node_->OnInstalled(Meta(Point(2, 10))), "Check failed");
}

}  // namespace
}  // namespace raftkv::raft
