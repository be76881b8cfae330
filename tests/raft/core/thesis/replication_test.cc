// Thesis §3.5 and §3.6, the log and what is committed of it: one case per rule that a single node
// keeps. What takes a cluster is told by transcripts; tests/raft/testdata/INDEX.md lists every
// rule.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/lone_core.h"

namespace raftkv::raft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

AppendAccepted Accepted(uint64_t match_index) {
  return AppendAccepted{.match_index = LogIndex(match_index)};
}

TEST(Thesis3_5, ALeaderStartsAtTheEndOfItsOwnLog) {
  LoneCore node(SomeState(2, {MakeEntry(1, 1), MakeEntry(2, 2)}));
  node.Lead();
  EXPECT_EQ(node->progress(NodeId(2))->next_index(), LogIndex(3));
  EXPECT_EQ(node->progress(NodeId(2))->match_index(), LogIndex(0));
}

TEST(Thesis3_5, EntriesLeaveWhenTheLogsAgree) {
  LoneCore node(SomeState(2, {MakeEntry(1, 1), MakeEntry(2, 2)}));
  node.Lead();
  ASSERT_TRUE(node->Propose("a", ClusterMillis(1)).ok());
  EXPECT_THAT(node.Turn(), IsEmpty()) << "what is under way only asks whether they agree";
  node.Step(2, 3, AppendRejected{.rejected_index = LogIndex(2), .hint = Id(1, 1)});
  EXPECT_THAT(node.Turn(),
              ElementsAre("1->2 term=3 AppendRequest previous=1/1 entries=nothing commit=0"));
  node.Step(2, 3, Accepted(1));
  EXPECT_THAT(node.Turn(),
              ElementsAre("1->2 term=3 AppendRequest previous=1/1 entries=2/2..3/4 commit=0"));
}

TEST(Thesis3_5, AMajorityMakesAnEntryAndAllBeforeItCommitted) {
  LoneCore node(FiveVoters(0, {}));
  node.Lead({2, 3});
  ASSERT_TRUE(node->Propose("a", ClusterMillis(1)).ok());
  ASSERT_TRUE(node->Propose("b", ClusterMillis(1)).ok());
  node.Turn();
  node.Step(2, 1, Accepted(3));
  node.Step(3, 1, Accepted(2));
  node.Turn();
  EXPECT_EQ(node->commit_index(), LogIndex(2)) << "of five, 1 and 2 alone hold entry 3";
  node.Step(5, 1, Accepted(3));
  node.Turn();
  EXPECT_EQ(node->commit_index(), LogIndex(3));
  EXPECT_EQ(node->applied_index(), LogIndex(3));
}

TEST(Thesis3_5, AFollowerRefusesWhatDoesNotFollowItsLog) {
  for (EntryId previous : {Id(1, 3), Id(2, 2)}) {
    LoneCore node(SomeState(2, {MakeEntry(1, 1), MakeEntry(1, 2)}));
    node.Step(2, 3, Append(previous, {MakeEntry(3, previous.index.value() + 1)}, /*commit=*/2));
    EXPECT_EQ(node->last_entry(), Id(1, 2));
    EXPECT_EQ(node->commit_index(), LogIndex(0));
    const std::vector<std::string> sent = node.Turn();
    ASSERT_EQ(sent.size(), 1u);
    EXPECT_THAT(sent[0], testing::HasSubstr("AppendRejected"));
  }
}

TEST(Thesis3_5, AConflictTakesAllThatFollowsWithIt) {
  LoneCore node(SomeState(2, {MakeEntry(1, 1), MakeEntry(1, 2), MakeEntry(1, 3), MakeEntry(1, 4)}));
  node.Step(2, 3, Append(Id(1, 1), {MakeEntry(1, 2), MakeEntry(2, 3)}));
  EXPECT_EQ(node->last_entry(), Id(2, 3));
  node.Turn();
  EXPECT_THAT(node.events, testing::Contains("truncated from 3: conflict with the leader"));
}

TEST(Thesis3_5, ALostAppendIsSentAgainUntilItIsStored) {
  LoneCore node;
  node.LeadAndCommit();
  ASSERT_TRUE(node->Propose("a", ClusterMillis(1)).ok());
  node.Turn();
  // 2 answers heartbeats for as long as it takes, and the entry gets lost each time.
  int sent = 0;
  for (uint64_t tick = 0; tick < 10 * kElectionTicks; ++tick) {
    node.Tick(1);
    node.Step(2, 1, HeartbeatReply{.round = RoundId(0)});
    for (const std::string& message : node.Turn()) {
      if (message == "1->2 term=1 AppendRequest previous=1/1 entries=nothing commit=1") {
        ++sent;
      }
    }
  }
  EXPECT_GE(sent, 5);
}

// Figure 3.7; the transcript figure_8 has the whole story.
TEST(Thesis3_6_2, CountingCopiesCommitsNothingOfAnEarlierTerm) {
  LoneCore node(SomeState(1, {MakeEntry(1, 1), MakeEntry(1, 2)}));
  node.Lead();
  node.Step(2, 2, Accepted(2));
  node.Step(3, 2, Accepted(2));
  node.Turn();
  EXPECT_EQ(node->commit_index(), LogIndex(0)) << "though all three hold entry 2";
  node.Step(3, 2, Accepted(3));
  node.Turn();
  EXPECT_EQ(node->commit_index(), LogIndex(3)) << "the own no-op takes along what it follows";
}

// Row 17: entry 2 of term 1 is overwritten and comes back while none of its writes has ended.
TEST(Thesis3_8, AnEntryThatCameBackIsStoredWithItsLastWrite) {
  LoneCore node(SomeState(1, {MakeEntry(1, 1)}));
  node.SlowDisk();
  node.Step(2, 1, Append(Id(1, 1), {MakeEntry(1, 2)}));
  node.Turn();
  const WriteId first = node.last_write;
  node.Step(3, 2, Append(Id(1, 1), {MakeEntry(2, 2)}));
  node.Turn();
  const WriteId second = node.last_write;
  node.Step(2, 3, Append(Id(1, 1), {MakeEntry(1, 2), MakeEntry(3, 3)}));
  node.Turn();
  const WriteId third = node.last_write;

  node->OnPersisted(first);
  EXPECT_THAT(node.Turn(), IsEmpty());
  EXPECT_EQ(node->durable_index(), LogIndex(1));
  node->OnPersisted(second);
  EXPECT_THAT(node.Turn(), IsEmpty());
  EXPECT_EQ(node->durable_index(), LogIndex(1));
  node->OnPersisted(third);
  EXPECT_THAT(node.Turn(), ElementsAre("1->2 term=3 AppendAccepted match=1",
                                       "1->2 term=3 AppendAccepted match=3"));
}

}  // namespace
}  // namespace raftkv::raft
