// Changes of the configuration, one core alone: thesis chapter 4. Node 1 of voters 1, 2, 3 and
// learner 4, in term 1 with entry 1 committed, unless a test says otherwise.
#include <set>
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
using testing::Not;

absl::StatusOr<EntryId> Propose(LoneCore& node, Configuration to) {
  return node->ProposeConfiguration(std::move(to), "payload", ClusterMillis(0));
}

void Acknowledge(LoneCore& node, const std::vector<uint64_t>& who, uint64_t match) {
  for (uint64_t from : who) {
    node.Step(from, node->term().value(), AppendAccepted{.match_index = LogIndex(match)});
  }
  node.Turn();
}

class MembershipTest : public testing::Test {
 protected:
  MembershipTest() { node_.LeadAndCommit(); }

  // Has what was proposed committed by a quorum of both halves.
  void Change(Configuration to, const std::vector<uint64_t>& who) {
    const absl::StatusOr<EntryId> entry = Propose(node_, std::move(to));
    ASSERT_TRUE(entry.ok()) << entry.status();
    node_.Turn();
    Acknowledge(node_, who, entry->index.value() - 1);  // Of those that are probed.
    Acknowledge(node_, who, entry->index.value());
    ASSERT_EQ(node_->commit_index(), entry->index);
  }

  LoneCore node_;
};

TEST(FollowerMembershipTest, TheNewestInTheLogCountsBeforeItIsCommitted) {
  LoneCore node;
  node.Step(2, 1, Append(Id(0, 0), {MakeConfigurationEntry(1, 1, Joint({1, 5}, {1, 2, 3}))}));
  EXPECT_EQ(node->configuration(), Joint({1, 5}, {1, 2, 3}));
  node.Turn();
  EXPECT_EQ(node->commit_index(), LogIndex(0));
  EXPECT_THAT(node.events,
              Contains("configuration of 1: voters=(1 5) outgoing=(1 2 3): the newest in the log"));
}

TEST(FollowerMembershipTest, TruncationBringsTheOneBeforeBack) {
  LoneCore node;
  node.Step(2, 1, Append(Id(0, 0), {MakeEntry(1, 1), MakeConfigurationEntry(1, 2, Simple({2}))}));
  node.Turn();
  node.events.clear();
  node.Step(3, 2, Append(Id(1, 1), {MakeEntry(2, 2)}));
  node.Turn();
  EXPECT_EQ(node->configuration(), SomeState(0, {}).configuration);
  EXPECT_THAT(node.events,
              Contains("configuration of 0: voters=(1 2 3) learners=(4): the newest in the log"));
  node.events.clear();
  node.Step(3, 2, Append(Id(2, 2), {MakeEntry(2, 3)}));
  node.Turn();
  EXPECT_THAT(node.events, IsEmpty()) << "nothing changed";
}

TEST(FollowerMembershipTest, ARestartFindsTheNewest) {
  RestoredState state =
      SomeState(1, {MakeConfigurationEntry(1, 1, Simple({7})),
                    MakeConfigurationEntry(1, 2, Joint({1, 2}, {1, 2, 3})), MakeEntry(1, 3)});
  state.applied = Id(1, 1);
  LoneCore node(state);
  EXPECT_EQ(node->configuration(), Joint({1, 2}, {1, 2, 3}));
  node.Step(2, 2, Append(Id(1, 1), {MakeEntry(2, 2)}));
  EXPECT_EQ(node->configuration(), state.configuration) << "what is applied is in the state";
}

TEST(FollowerMembershipTest, ACandidateNeedsTheQuorumsOfItsNewest) {
  LoneCore node(SomeState(1, {MakeConfigurationEntry(1, 1, Joint({1, 5, 6}, {1, 2, 3}))}));
  node.TicksIn(RaftRole::kFollower);
  node.Step(2, 2, VoteReply{.pre_vote = true, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kPreCandidate);
  node.Step(6, 2, VoteReply{.pre_vote = true, .granted = true});
  node.Turn();
  EXPECT_EQ(node->role(), RaftRole::kCandidate);
  node.Step(6, 2, VoteReply{.pre_vote = false, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kCandidate);
  node.Step(3, 2, VoteReply{.pre_vote = false, .granted = true});
  EXPECT_EQ(node->role(), RaftRole::kLeader);
}

TEST(FollowerMembershipTest, WhoIsNoMemberFollowsAndNeverCampaigns) {
  LoneCore node(SomeState(0, {}), /*seed=*/1, /*self=*/9);
  EXPECT_THAT(node.Tick(5 * kElectionTicks), IsEmpty());
  node.Step(2, 1, Append(Id(0, 0), {MakeEntry(1, 1)}));
  EXPECT_THAT(node.Turn(), ElementsAre("9->2 term=1 AppendAccepted match=1"));
  EXPECT_THAT(node.Tick(5 * kElectionTicks), IsEmpty());
  EXPECT_EQ(node->role(), RaftRole::kFollower);
  node.Step(2, 1, Append(Id(1, 1), {MakeConfigurationEntry(1, 2, Joint({1, 9}, {1, 2, 3}))}));
  node.TicksIn(RaftRole::kFollower);
  EXPECT_EQ(node->role(), RaftRole::kPreCandidate) << "a member by now";
}

// Thesis §4.2.2: it may be the only one that can be elected.
TEST(FollowerMembershipTest, WhoIsLeftOutCampaignsUntilThatIsApplied) {
  LoneCore node(SomeState(1, {MakeConfigurationEntry(1, 1, Simple({2, 3}))}));
  node.TicksIn(RaftRole::kFollower);
  for (uint64_t voter : {2, 3}) {
    EXPECT_EQ(node->role(), RaftRole::kPreCandidate) << "its own vote does not count";
    node.Step(voter, 2, VoteReply{.pre_vote = true, .granted = true});
  }
  node.Turn();
  for (uint64_t voter : {2, 3}) {
    EXPECT_EQ(node->role(), RaftRole::kCandidate);
    node.Step(voter, 2, VoteReply{.pre_vote = false, .granted = true});
  }
  EXPECT_EQ(node->role(), RaftRole::kLeader);

  RestoredState state = SomeState(1, {MakeConfigurationEntry(1, 1, Simple({2, 3}))});
  state.applied = Id(1, 1);
  state.configuration = Simple({2, 3});
  LoneCore removed(state);
  EXPECT_THAT(removed.Tick(5 * kElectionTicks), IsEmpty());
}

TEST_F(MembershipTest, IsRefusedWhereItMightBeUnsafe) {
  LoneCore follower;
  EXPECT_TRUE(absl::IsUnavailable(Propose(follower, Joint({1}, {1, 2, 3})).status()));
  // The single-server bug: not before the leader has committed in its term.
  LoneCore early;
  early.Lead();
  const absl::Status too_early = Propose(early, Joint({1}, {1, 2, 3})).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(too_early));
  EXPECT_THAT(std::string(too_early.message()), HasSubstr("nothing of term 1 is committed"));

  EXPECT_TRUE(absl::IsInvalidArgument(Propose(node_, Simple({1})).status()));
  EXPECT_EQ(node_->last_entry(), Id(1, 1));
  ASSERT_TRUE(Propose(node_, Joint({1, 5}, {1, 2, 3})).ok());
  const absl::Status second = Propose(node_, Simple({1, 5})).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(second));
  EXPECT_THAT(std::string(second.message()), HasSubstr("at index 2 is not committed"));
  EXPECT_EQ(node_->last_entry(), Id(1, 2));
}

TEST(LeaderMembershipTest, IsRefusedWithoutRoom) {
  RaftConfig config = SomeConfig(1);
  config.uncommitted_bytes_max = config.append_bytes_max;
  RestoredState state = SomeState(0, {});
  state.configuration = Simple({1});
  RaftCore core(config, state, Rng(1));
  core.Tick();
  core.OnPersisted(core.TakeOutput().write->id);
  core.OnPersisted(core.TakeOutput().write->id);
  ASSERT_TRUE(core.has_committed_in_term());
  ASSERT_TRUE(core.Propose(std::string(config.uncommitted_bytes_max, 'x'), ClusterMillis(0)).ok());
  EXPECT_TRUE(absl::IsResourceExhausted(
      core.ProposeConfiguration(Joint({1}, {1}), "p", ClusterMillis(0)).status()));
}

TEST_F(MembershipTest, TheLeaderGoesByItAtOnce) {
  const absl::StatusOr<EntryId> entry = Propose(node_, Joint({1, 2, 5}, {1, 2, 3}));
  ASSERT_TRUE(entry.ok());
  EXPECT_EQ(*entry, Id(1, 2));
  EXPECT_EQ(node_->configuration(), Joint({1, 2, 5}, {1, 2, 3}));
  EXPECT_EQ(node_->progress(NodeId(4)), nullptr) << "no member any more";
  ASSERT_NE(node_->progress(NodeId(5)), nullptr);
  EXPECT_EQ(node_->progress(NodeId(5))->state(), FollowerProgress::State::kProbe);
  EXPECT_THAT(node_.Turn(),
              ElementsAre("1->2 term=1 AppendRequest previous=1/1 entries=1/2 commit=1",
                          "1->5 term=1 AppendRequest previous=1/2 entries=nothing commit=1"));
  EXPECT_THAT(node_.events, ElementsAre("configuration of 2: voters=(1 2 5) outgoing=(1 2 3): "
                                        "the newest in the log"));
  EXPECT_THAT(node_.Tick(10), Not(Contains(HasSubstr("1->4"))));
}

TEST_F(MembershipTest, AJointOneIsCommittedByBothHalves) {
  ASSERT_TRUE(Propose(node_, Joint({1, 5, 6}, {1, 2, 3})).ok());
  node_.Turn();
  Acknowledge(node_, {2, 3}, 2);
  EXPECT_EQ(node_->commit_index(), LogIndex(1));
  Acknowledge(node_, {5}, 2);
  EXPECT_EQ(node_->commit_index(), LogIndex(2));
}

TEST_F(MembershipTest, WhatASmallerQuorumHoldsIsCommittedWithIt) {
  Change(Joint({1}, {1, 2, 3}), {2});
  ASSERT_TRUE(node_->Propose("a", ClusterMillis(0)).ok());
  node_.Turn();
  EXPECT_EQ(node_->commit_index(), LogIndex(2)) << "the outgoing half lacks it";
  ASSERT_TRUE(Propose(node_, Simple({1})).ok());
  EXPECT_EQ(node_->commit_index(), LogIndex(3));
  node_.Turn();
  EXPECT_EQ(node_->commit_index(), LogIndex(4));
}

TEST_F(MembershipTest, ReadsNeedTheQuorumsThatCountNow) {
  ASSERT_TRUE(Propose(node_, Joint({1, 5}, {1, 2, 3})).ok());
  node_->RequestRead(ReadId(1), NodeId(1));
  node_.Turn();
  node_.Step(2, 1, HeartbeatReply{.round = RoundId(1)});
  node_.Turn();
  EXPECT_THAT(node_.reads, IsEmpty());
  node_.Step(5, 1, HeartbeatReply{.round = RoundId(1)});
  node_.Turn();
  EXPECT_THAT(node_.reads, ElementsAre("read 1 at 1"));
}

TEST_F(MembershipTest, ReadsThatASmallerQuorumHasConfirmedAreAnswered) {
  Change(Joint({1}, {1, 2, 3}), {2});
  node_->RequestRead(ReadId(1), NodeId(1));
  node_.Turn();
  EXPECT_THAT(node_.reads, IsEmpty());
  ASSERT_TRUE(Propose(node_, Simple({1})).ok());
  node_.Turn();
  EXPECT_THAT(node_.reads, ElementsAre("read 1 at 2"));
}

TEST_F(MembershipTest, ContactIsThatOfTheQuorumsThatCountNow) {
  ASSERT_TRUE(Propose(node_, Joint({1, 5}, {1, 2, 3})).ok());
  for (uint64_t tick = 1; tick < kElectionTicks; ++tick) {
    node_.Step(2, 1, HeartbeatReply{.round = RoundId(0)});
    node_.Tick(1);
  }
  EXPECT_EQ(node_->role(), RaftRole::kLeader) << "who is new has a whole timeout";
  node_.Step(2, 1, HeartbeatReply{.round = RoundId(0)});
  node_.Tick(1);
  EXPECT_EQ(node_->role(), RaftRole::kFollower) << "5 is silent";
}

// Thesis §4.2.2.
TEST_F(MembershipTest, ALeaderThatIsLeftOutLeadsUntilThatIsCommitted) {
  Change(Joint({2, 3}, {1, 2, 3}), {2, 3});
  node_.Tick(1);
  EXPECT_EQ(node_->role(), RaftRole::kLeader);
  ASSERT_TRUE(Propose(node_, Simple({2, 3})).ok());
  node_.Turn();
  Acknowledge(node_, {2}, 3);
  EXPECT_EQ(node_->commit_index(), LogIndex(2)) << "it does not count itself";
  node_.Tick(1);
  EXPECT_EQ(node_->role(), RaftRole::kLeader);
  Acknowledge(node_, {3}, 3);
  EXPECT_EQ(node_->commit_index(), LogIndex(3));
  node_->SendCommitIndex();
  EXPECT_THAT(node_.Turn(), ElementsAre("1->2 term=1 Heartbeat commit=3 round=0 held=3",
                                        "1->3 term=1 Heartbeat commit=3 round=0 held=3"));
  node_.events.clear();
  node_.Tick(1);
  EXPECT_EQ(node_->role(), RaftRole::kFollower);
  EXPECT_THAT(node_.events, ElementsAre("follower term=1 leader=nobody: does not vote any more"));
  EXPECT_THAT(node_.Tick(5 * kElectionTicks), IsEmpty()) << "it never campaigns";
}

TEST(LeaderMembershipTest, ALoadForWhoWasRemovedIsForNobody) {
  RestoredState state = SomeState(1, {});
  state.applied = state.previous = Id(1, 20);
  LoneCore node(state);
  node.Lead();
  node.Step(2, 2, AppendAccepted{.match_index = LogIndex(20)});
  node.Turn();
  node.Step(2, 2, AppendAccepted{.match_index = LogIndex(21)});
  node.Turn();
  node.Step(4, 2, AppendRejected{.rejected_index = LogIndex(20), .hint = Id(1, 10)});
  ASSERT_EQ(node->TakeOutput().loads.size(), 1u);
  ASSERT_TRUE(Propose(node, Simple({1, 2, 3})).ok());
  node.Turn();
  Acknowledge(node, {2}, 22);
  Configuration again = Simple({1, 2, 3});
  again.learners = Nodes({4});
  ASSERT_TRUE(Propose(node, again).ok());
  node->OnEntriesTrimmed(NodeId(4));
  EXPECT_EQ(node->progress(NodeId(4))->state(), FollowerProgress::State::kProbe);
}

}  // namespace
}  // namespace raftkv::raft
