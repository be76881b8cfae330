// Who is rather to lead, one core alone. Node 1 of voters 1, 2, 3 and learner 4, with the default
// priority, leads term 1 with entry 1 committed by 2, unless a test says otherwise.
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/raft/core/configurations.h"
#include "tests/support/lone_core.h"

namespace raftkv::raft {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Lt;
using testing::Not;

constexpr uint64_t kKeptUp = 5 * kElectionTicks;
constexpr char kToTwo[] = "hands over leadership of term 1: to node 2, which has a higher priority";
constexpr char kToThree[] =
    "hands over leadership of term 1: to node 3, which has a higher priority";

using Priorities = std::map<NodeId, uint64_t>;

class PriorityTest : public testing::Test {
 protected:
  PriorityTest() { node_.LeadAndCommit(); }

  void Accept(uint64_t from, uint64_t match) {
    node_.Step(from, node_->term().value(), AppendAccepted{.match_index = LogIndex(match)});
    node_.Turn();
  }
  // `followers` hold all that the leader had a tick before.
  void KeepUp(uint64_t ticks, const std::vector<uint64_t>& followers = {2, 3}) {
    for (uint64_t tick = 0; tick < ticks; ++tick) {
      for (const uint64_t follower : followers) {
        Accept(follower, node_->last_entry().index.value());
      }
      node_.Tick(1);
    }
  }

  LoneCore node_;
};

TEST_F(PriorityTest, AHigherOneThatKeepsUpIsHandedTo) {
  node_->SetPriorities({{NodeId(2), 101}});
  KeepUp(kKeptUp - 1);
  EXPECT_THAT(node_.events, IsEmpty());
  KeepUp(1);
  EXPECT_THAT(node_.events, ElementsAre(kToTwo));
  EXPECT_EQ(node_->handing_over_to(), NodeId(2));
}

TEST_F(PriorityTest, AlsoUnderLoad) {
  node_->SetPriorities({{NodeId(2), 200}});
  for (uint64_t tick = 0; tick < kKeptUp + 1 && node_.events.empty(); ++tick) {
    const uint64_t last = node_->last_entry().index.value();
    ASSERT_TRUE(node_->Propose("x", ClusterMillis(0)).ok());
    Accept(2, last);
    Accept(3, last + 1);
    node_.Tick(1);
  }
  EXPECT_THAT(node_.events, ElementsAre(kToTwo));
}

TEST_F(PriorityTest, TheHighestIsChosen) {
  node_->SetPriorities({{NodeId(2), 200}, {NodeId(3), 300}});
  KeepUp(kKeptUp);
  EXPECT_THAT(node_.events, ElementsAre(kToThree));
}

TEST_F(PriorityTest, NotWhoHasNoMoreThanTheLeaderOrDoesNotVote) {
  node_->SetPriorities({{NodeId(3), 0}, {NodeId(4), 1000}});
  KeepUp(3 * kKeptUp, {2, 3, 4});
  EXPECT_THAT(node_.events, IsEmpty());
}

TEST_F(PriorityTest, NotWhoComesAndGoes) {
  node_->SetPriorities({{NodeId(2), 200}});
  for (int time = 0; time < 5; ++time) {
    KeepUp(kKeptUp - 1);
    node_->OnStreamLost(NodeId(2));
    node_.Tick(1);
  }
  EXPECT_THAT(node_.events, IsEmpty());
  KeepUp(kKeptUp + 1);
  EXPECT_THAT(node_.events, ElementsAre(kToTwo));
}

TEST_F(PriorityTest, NotWhoLacksEntries) {
  node_->SetPriorities({{NodeId(2), 200}});
  ASSERT_TRUE(node_->Propose("x", ClusterMillis(0)).ok());
  node_.Turn();
  for (uint64_t tick = 0; tick < 3 * kKeptUp; ++tick) {
    node_.Step(2, 1, HeartbeatReply{.round = RoundId(0)});
    Accept(3, 2);
    node_.Tick(1);
  }
  EXPECT_THAT(node_.events, IsEmpty());
}

TEST_F(PriorityTest, NotWhileAChangeOfMembersIsUnderWay) {
  node_->SetPriorities({{NodeId(2), 200}});
  KeepUp(kKeptUp - 10);
  ASSERT_TRUE(
      node_->ProposeConfiguration(Joint({1, 2}, {1, 2, 3}), "joint", ClusterMillis(0)).ok());
  KeepUp(kKeptUp);
  ASSERT_TRUE(node_->is_configuration_committed());
  ASSERT_TRUE(node_->ProposeConfiguration(Simple({1, 2}), "left", ClusterMillis(0)).ok());
  EXPECT_THAT(node_.events, Not(Contains(kToTwo)));
  KeepUp(2);
  EXPECT_THAT(node_.events, Contains(kToTwo));
}

// Each try holds writes up for an election timeout.
TEST_F(PriorityTest, NotSoonAgainToWhoDidNotTakeOver) {
  node_->SetPriorities({{NodeId(2), 300}, {NodeId(3), 200}});
  KeepUp(kKeptUp);
  ASSERT_THAT(node_.events, ElementsAre(kToTwo));
  KeepUp(kElectionTicks + 1);
  EXPECT_THAT(node_.events, ElementsAre(kToTwo, HasSubstr("node 2 did not take over"), kToThree))
      << "the next one has its turn";
  KeepUp(kElectionTicks);
  node_.events.clear();
  KeepUp(58 * kElectionTicks);
  EXPECT_THAT(node_.events, IsEmpty());
  KeepUp(kElectionTicks + 1);
  EXPECT_THAT(node_.events, ElementsAre(kToTwo));
}

// It stood, which began a term, and nobody elected it.
TEST_F(PriorityTest, NorToWhoStoodAndLost) {
  node_->SetPriorities({{NodeId(2), 200}});
  KeepUp(kKeptUp);
  ASSERT_THAT(node_.events, ElementsAre(kToTwo));
  node_.Step(2, 2, HeartbeatReply{.round = RoundId(0)});
  ASSERT_EQ(node_->role(), RaftRole::kFollower);
  node_.LeadAndCommit();
  KeepUp(50 * kElectionTicks);
  EXPECT_THAT(node_.events, IsEmpty());
}

TEST_F(PriorityTest, AgainToWhoHasLedSince) {
  node_->SetPriorities({{NodeId(2), 200}});
  KeepUp(kKeptUp);
  ASSERT_THAT(node_.events, ElementsAre(kToTwo));
  node_.Step(2, 2, Heartbeat{.commit_index = LogIndex(1), .round = RoundId(0)});
  node_.LeadAndCommit();
  KeepUp(kKeptUp + 1);
  EXPECT_THAT(node_.events, ElementsAre(HasSubstr("to node 2, which has a higher priority")));
}

// Each leader would prefer the other, as long as what they were told is not published.
TEST(OwnPriorityTest, CountsAsItIsPublished) {
  RaftConfig config = SomeConfig(1);
  config.priority = 50;
  LoneCore node(config, SomeState(0, {}));
  node.LeadAndCommit();
  for (uint64_t tick = 0; tick < 2 * kKeptUp; ++tick) {
    for (const uint64_t follower : {2, 3}) {
      node.Step(follower, 1, AppendAccepted{.match_index = node->last_entry().index});
      node.Turn();
    }
    node.Tick(1);
  }
  EXPECT_THAT(node.events, IsEmpty());
}

TEST_F(PriorityTest, WithoutATargetAHigherOneThatKeepsUpGoesBeforeALongerLog) {
  node_->SetPriorities({{NodeId(2), 0}});
  KeepUp(kElectionTicks + 1);
  ASSERT_TRUE(node_->Propose("x", ClusterMillis(0)).ok());
  node_.Turn();
  Accept(2, 2);
  ASSERT_TRUE(node_->TransferLeadership(kNobody).ok());
  EXPECT_EQ(node_->handing_over_to(), NodeId(3));
}

TEST_F(PriorityTest, WithoutATargetPriorityZeroIsBetterThanNobodyOrWhoIsBehind) {
  node_->SetPriorities({{NodeId(2), 0}});
  KeepUp(kElectionTicks + 1, {2});
  ASSERT_TRUE(node_->TransferLeadership(kNobody).ok());
  EXPECT_EQ(node_->handing_over_to(), NodeId(2));
}

TEST_F(PriorityTest, WithoutATargetAndWithEqualLogsTheHigherOneIsTaken) {
  node_->SetPriorities({{NodeId(2), 1}});
  Accept(3, 0);
  Accept(3, 1);
  ASSERT_TRUE(node_->TransferLeadership(kNobody).ok());
  EXPECT_EQ(node_->handing_over_to(), NodeId(3));
}

// What it takes until node 1 campaigns, which knows these priorities of the others.
uint64_t Patience(uint64_t own, const Priorities& others, uint64_t seed) {
  RaftConfig config = SomeConfig(1);
  config.priority = own;
  LoneCore node(config, SomeState(0, {}), seed);
  node->SetPriorities(others);
  // Now it knows them, and begins to wait anew.
  node.Step(2, 1, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  return node.TicksIn(RaftRole::kFollower);
}

TEST(ReluctantTest, LeavesTheOthersTimeToLead) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_THAT(Patience(0, {}, seed), AllOf(Ge(3 * kElectionTicks), Lt(4 * kElectionTicks + 1)));
    EXPECT_THAT(Patience(1, {}, seed), AllOf(Ge(kElectionTicks), Lt(2 * kElectionTicks + 1)));
  }
}

TEST(ReluctantTest, DoesNotWaitForWhomItWouldNotPrefer) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_THAT(Patience(0, {{NodeId(2), 0}, {NodeId(3), 0}, {NodeId(4), 500}}, seed),
                Lt(2 * kElectionTicks + 1))
        << "a learner does not lead";
  }
}

// Node `self` of three hears from leader 3, whose connection then breaks.
uint64_t Turn(uint64_t self, uint64_t own, const Priorities& others) {
  RaftConfig config = SomeConfig(self);
  config.priority = own;
  LoneCore node(config, SomeState(0, {}));
  node->SetPriorities(others);
  node.Step(3, 1, Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)});
  node.Turn();
  node->OnPeerUnreachable(NodeId(3));
  return node.TicksIn(RaftRole::kFollower);
}

TEST(TurnTest, GoesByPriorityAndThenById) {
  EXPECT_EQ(Turn(1, 100, {}), 1u);
  EXPECT_EQ(Turn(2, 100, {}), 3u);
  EXPECT_EQ(Turn(1, 100, {{NodeId(2), 200}}), 3u);
  EXPECT_EQ(Turn(2, 200, {}), 1u);
}

TEST(TurnTest, PriorityZeroLeavesAnElectionTimeoutToTheOthers) {
  EXPECT_EQ(Turn(1, 0, {}), kElectionTicks + 3);
  EXPECT_EQ(Turn(1, 0, {{NodeId(2), 0}, {NodeId(3), 500}}), 1u) << "the leader is gone";
}

}  // namespace
}  // namespace raftkv::raft
