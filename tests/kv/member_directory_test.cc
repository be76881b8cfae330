#include "kv/member_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kv/member_publisher.h"
#include "tests/kv/single_member.h"

namespace raftkv::kv {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

log::v1::ClusterConfiguration ThreeMembers() {
  log::v1::ClusterConfiguration configuration;
  configuration.set_cluster_id(99);
  for (uint64_t id = 1; id <= 3; ++id) {
    log::v1::ConfiguredMember* member = configuration.add_members();
    member->set_id(id);
    member->set_name("n" + std::to_string(id));
    member->set_peer_address("founded:" + std::to_string(id));
    member->set_data_id(100 + id);
  }
  configuration.add_voters(1);
  configuration.add_voters(2);
  configuration.add_learners(3);
  return configuration;
}

MemberDirectory::Self SelfOf(uint64_t id) {
  return {.id = id,
          .name = "n" + std::to_string(id),
          .data_id = 100 + id,
          .client_address = "client:1",
          .peer_address = "peer:1"};
}

TEST(MemberDirectoryTest, BeforeTheFoundingThereIsNobody) {
  const std::optional<log::v1::ClusterConfiguration> none;
  ScriptedStateMachine machine;
  const MemberDirectory directory(SelfOf(1), &none, &machine);
  EXPECT_FALSE(directory.founded());
  EXPECT_EQ(directory.cluster_id(), 0u);
  EXPECT_THAT(directory.Members(), IsEmpty());
  EXPECT_EQ(directory.Find(raft::NodeId(1)), std::nullopt);
  EXPECT_THAT(directory.AddressesOf(raft::NodeId(2)), IsEmpty());
  EXPECT_EQ(directory.Describe(raft::NodeId(2)), "2");
}

TEST(MemberDirectoryTest, WhatAMemberPublishedWins) {
  const std::optional configuration = ThreeMembers();
  ScriptedStateMachine machine;
  const MemberDirectory directory(SelfOf(1), &configuration, &machine);
  EXPECT_EQ(directory.Find(raft::NodeId(2))->peer_address, "founded:2");
  EXPECT_EQ(directory.Find(raft::NodeId(2))->version, "");
  machine.records[2].set_peer_address("published:2");
  machine.records[2].set_client_address("client:2");
  machine.records[2].set_version("1.2.3");
  const MemberEntry entry = *directory.Find(raft::NodeId(2));
  EXPECT_EQ(entry.name, "n2");
  EXPECT_EQ(entry.data_id, 102u);
  EXPECT_EQ(entry.peer_address, "published:2");
  EXPECT_EQ(entry.client_address, "client:2");
  EXPECT_EQ(entry.version, "1.2.3");
  EXPECT_FALSE(entry.learner);
  EXPECT_TRUE(directory.Find(raft::NodeId(3))->learner);
  EXPECT_EQ(directory.Describe(raft::NodeId(2)), "2 \"n2\"");
}

TEST(MemberDirectoryTest, TheOthersAreAllButThisMember) {
  const std::optional configuration = ThreeMembers();
  ScriptedStateMachine machine;
  const MemberDirectory directory(SelfOf(2), &configuration, &machine);
  std::vector<uint64_t> others;
  for (const MemberEntry& entry : directory.Others()) {
    others.push_back(entry.id);
  }
  EXPECT_THAT(others, ElementsAre(1u, 3u));
}

TEST(MemberDirectoryTest, EverySourceOfAnAddressCounts) {
  const std::optional configuration = ThreeMembers();
  ScriptedStateMachine machine;
  MemberDirectory directory(SelfOf(1), &configuration, &machine);
  EXPECT_THAT(directory.AddressesOf(raft::NodeId(2)), ElementsAre("founded:2"));
  machine.records[2].set_peer_address("published:2");
  directory.addresses().SetTold({{"n2", "told:2"}, {"n3", "told:3"}});
  directory.addresses().OnSeen("n2", "seen:2");
  EXPECT_THAT(directory.AddressesOf(raft::NodeId(2)),
              ElementsAre("seen:2", "published:2", "told:2", "founded:2"));
}

class MemberPublisherTest : public SingleMemberTest {
 protected:
  MemberPublisherTest() { machine_.outcome.set_verdict(log::v1::CommandOutcome::VERDICT_APPLIED); }

  std::optional<log::v1::ClusterConfiguration> configuration_ = ThreeMembers();
  MemberDirectory directory_{SelfOf(1), &configuration_, &machine_};
};

TEST_F(MemberPublisherTest, SaysOnceWhatTheLogDoesNotSay) {
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

TEST_F(MemberPublisherTest, SaysItAgainWhenTheLogLostIt) {
  StartLeader(&directory_);
  Tick(101);
  machine_.records.clear();
  Tick(101);
  EXPECT_EQ(machine_.commands.size(), 2u);
}

TEST_F(MemberPublisherTest, SaysNothingWithoutALeaderOrWhileStopping) {
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

}  // namespace
}  // namespace raftkv::kv
