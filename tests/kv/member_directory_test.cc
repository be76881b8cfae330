#include "kv/member_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/kv/fake_state_machine.h"
#include "tests/kv/three_members.h"

namespace raftkv::kv {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

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

TEST(MemberDirectoryTest, APriorityIsTheDefaultUntilAnotherIsPublished) {
  const std::optional configuration = ThreeMembers();
  ScriptedStateMachine machine;
  const MemberDirectory directory(SelfOf(1), &configuration, &machine);
  machine.records[1].set_priority(0);
  machine.records[2].set_version("1.2.3");
  EXPECT_EQ(directory.Find(raft::NodeId(1))->priority, 0u);
  EXPECT_EQ(directory.Find(raft::NodeId(2))->priority, raft::kPriorityDefault);
  EXPECT_EQ(directory.Find(raft::NodeId(3))->priority, raft::kPriorityDefault);
  EXPECT_THAT(directory.Priorities(), ElementsAre(testing::Pair(raft::NodeId(1), 0u)));
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

TEST(MemberDirectoryTest, AConfigurationThatIsAppliedIsSeenAtOnce) {
  std::optional<log::v1::ClusterConfiguration> configuration;
  ScriptedStateMachine machine;
  const MemberDirectory directory(SelfOf(1), &configuration, &machine);
  configuration = ThreeMembers();
  EXPECT_EQ(directory.Members().size(), 3u);
  configuration->mutable_members()->RemoveLast();
  configuration->clear_learners();
  EXPECT_EQ(directory.Members().size(), 2u);
  EXPECT_EQ(directory.Find(raft::NodeId(3)), std::nullopt);
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

}  // namespace
}  // namespace raftkv::kv
