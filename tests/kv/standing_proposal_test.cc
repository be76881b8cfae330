#include "kv/standing_proposal.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kv/command_version.h"
#include "tests/kv/single_member.h"
#include "tests/kv/three_members.h"

namespace raftkv::kv {
namespace {

class StandingProposalTest : public SingleMemberTest {
 protected:
  StandingProposalTest() { machine_.outcome.set_verdict(log::v1::CommandOutcome::VERDICT_APPLIED); }

  std::optional<log::v1::ClusterConfiguration> configuration_ = ThreeMembers();
  MemberDirectory directory_{SelfOf(1), &configuration_, &machine_};
};

TEST_F(StandingProposalTest, SaysOnceWhatTheLogDoesNotSay) {
  StartLeader(&directory_);
  Tick(300);
  ASSERT_EQ(machine_.commands.size(), 1u);
  EXPECT_EQ(machine_.records.at(1).peer_address(), "peer:1");
  EXPECT_EQ(machine_.records.at(1).client_address(), "client:1");
  EXPECT_NE(machine_.records.at(1).version(), "");

  directory_.SetSelfAddresses("client:1", "moved:1");
  Tick(101);
  EXPECT_EQ(machine_.commands.size(), 2u);
  EXPECT_EQ(machine_.records.at(1).peer_address(), "moved:1");
}

TEST_F(StandingProposalTest, SaysItAgainWhenTheLogLostIt) {
  StartLeader(&directory_);
  Tick(101);
  machine_.records.clear();
  Tick(101);
  EXPECT_EQ(machine_.commands.size(), 2u);
}

TEST_F(StandingProposalTest, SaysNothingWithoutALeaderOrWhileStopping) {
  Start(3, &directory_);
  Tick(300);
  EXPECT_EQ(member_->driver().pending_requests(), 0u);
  StartLeader(&directory_);
  machine_.records.clear();
  machine_.commands.clear();
  store().Drain();
  Tick(300);
  EXPECT_TRUE(machine_.commands.empty());
}

class PriorityTest : public StandingProposalTest {
 protected:
  static MemberDirectory::Self WithPriority(uint64_t priority) {
    MemberDirectory::Self self = SelfOf(1);
    self.priority = priority;
    return self;
  }
  MemberDirectory reluctant_{WithPriority(0), &configuration_, &machine_};
};

TEST_F(PriorityTest, IsPublishedOnceTheClusterKnowsWhatItIs) {
  machine_.version = kPriorityCommandVersion - 1;
  StartLeader(&reluctant_);
  Tick(101);
  ASSERT_EQ(machine_.commands.size(), 1u);
  EXPECT_FALSE(machine_.records.at(1).has_priority());
  machine_.version = kPriorityCommandVersion;
  Tick(101);
  ASSERT_EQ(machine_.commands.size(), 2u);
  EXPECT_TRUE(machine_.records.at(1).has_priority());
  EXPECT_EQ(machine_.records.at(1).priority(), 0u);
  EXPECT_EQ(CommandVersionOf(machine_.commands.back()), kPriorityCommandVersion);
  Tick(101);
  EXPECT_EQ(machine_.commands.size(), 2u);
}

TEST_F(PriorityTest, TheDefaultIsNotPublishedAndTakesBackWhatWas) {
  StartLeader(&directory_);
  Tick(101);
  EXPECT_FALSE(machine_.records.at(1).has_priority());
  EXPECT_EQ(CommandVersionOf(machine_.commands.back()), kFirstCommandVersion);
  machine_.records[1].set_priority(7);
  Tick(101);
  EXPECT_FALSE(machine_.records.at(1).has_priority());
}

TEST_F(PriorityTest, WhatOthersPublishedReachesTheCore) {
  StartLeader(&directory_);
  EXPECT_TRUE(member_->driver().core().priorities().empty());
  machine_.records[2].set_priority(200);
  Tick(1);
  EXPECT_THAT(member_->driver().core().priorities(),
              testing::ElementsAre(testing::Pair(raft::NodeId(2), 200u)));
}

class ClusterVersionTest : public StandingProposalTest {
 protected:
  void Publish(uint64_t id, uint32_t command_version) {
    machine_.records[id].set_member_id(id);
    machine_.records[id].set_command_version(command_version);
  }
  // 0: none is due.
  uint32_t DueRaise() {
    const std::optional<log::v1::Command> command = DueVersionRaise(directory_, store());
    return command.has_value() ? command->raise_cluster_version().version() : 0;
  }
};

TEST_F(ClusterVersionTest, IsTheLeastOfWhatItsMembersKnow) {
  StartLeader(&directory_);
  // As of a cluster that is older than any.
  machine_.version = kFirstCommandVersion - 1;
  Publish(1, kFirstCommandVersion);
  Publish(2, kFirstCommandVersion + 1);
  EXPECT_EQ(DueRaise(), 0u) << "member 3 has said nothing yet";
  Publish(3, kFirstCommandVersion);
  EXPECT_EQ(DueRaise(), kFirstCommandVersion);
}

TEST_F(ClusterVersionTest, NeverFallsAndIsSaidOnce) {
  StartLeader(&directory_);
  for (const uint64_t id : {1, 2, 3}) {
    Publish(id, kFirstCommandVersion);
  }
  EXPECT_EQ(DueRaise(), 0u);
  machine_.version = kFirstCommandVersion + 1;
  EXPECT_EQ(DueRaise(), 0u);
}

TEST_F(ClusterVersionTest, IsTheLeadersToRaise) {
  Start(3, &directory_);
  machine_.version = kFirstCommandVersion - 1;
  for (const uint64_t id : {1, 2, 3}) {
    Publish(id, kFirstCommandVersion);
  }
  EXPECT_EQ(DueRaise(), 0u);
}

TEST_F(ClusterVersionTest, AMemberThatMeetsANewerCommandSaysSo) {
  StartLeader(&directory_);
  EXPECT_EQ(unusable_, "");
  machine_.unknown = "entry 9 holds something";
  Tick();
  EXPECT_EQ(unusable_, "entry 9 holds something");
}

}  // namespace
}  // namespace raftkv::kv
