#include "kv/member_list.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "raft/core/configuration.h"
#include "tests/kv/three_members.h"

namespace raftkv::kv {
namespace {

using ::testing::ElementsAre;

using log::v1::ClusterConfiguration;

std::vector<uint64_t> IdsOfMembers(const ClusterConfiguration& record) {
  std::vector<uint64_t> ids;
  for (const log::v1::ConfiguredMember& member : record.members()) {
    ids.push_back(member.id());
  }
  return ids;
}

TEST(MemberListTest, ANewLearnerHasTheNextId) {
  log::v1::ConfiguredMember member;
  member.set_name("n4");
  const ClusterConfiguration record = WithLearner(ThreeMembers(), member);
  EXPECT_THAT(IdsOfMembers(record), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(record.learners(), ElementsAre(3, 4));
  EXPECT_EQ(record.last_member_id(), 4u);
  EXPECT_EQ(FindMember(record, 4)->name(), "n4");
  EXPECT_EQ(FindMemberNamed(record, "n4")->id(), 4u);
  EXPECT_EQ(FindMemberNamed(record, "n5"), nullptr);
  EXPECT_TRUE(raft::CheckSuccessor(IdsOf(ThreeMembers()), IdsOf(record)).ok());
}

TEST(MemberListTest, AnIdIsNeverUsedAgain) {
  const ClusterConfiguration without = Removing(ThreeMembers(), 3);
  EXPECT_THAT(IdsOfMembers(without), ElementsAre(1, 2));
  EXPECT_THAT(IdsOfMembers(WithLearner(without, {})), ElementsAre(1, 2, 4));
  EXPECT_TRUE(WasRemoved(without, 3));
  EXPECT_FALSE(WasRemoved(without, 4)) << "it is not known yet";
  EXPECT_FALSE(WasRemoved(without, 2));
  EXPECT_FALSE(WasRemoved(without, 0)) << "nobody";
}

TEST(MemberListTest, ALearnerIsPromotedByAJointStep) {
  ClusterConfiguration before = ThreeMembers();
  before.mutable_members(2)->set_stay_learner(true);
  const ClusterConfiguration joint = Promoting(before, 3);
  EXPECT_THAT(joint.voters(), ElementsAre(1, 2, 3));
  EXPECT_THAT(joint.outgoing_voters(), ElementsAre(1, 2));
  EXPECT_TRUE(joint.learners().empty());
  EXPECT_FALSE(joint.members(2).stay_learner());
  const ClusterConfiguration left = Left(joint);
  EXPECT_THAT(left.voters(), ElementsAre(1, 2, 3));
  EXPECT_TRUE(left.outgoing_voters().empty());
  EXPECT_TRUE(raft::CheckSuccessor(IdsOf(before), IdsOf(joint)).ok());
  EXPECT_TRUE(raft::CheckSuccessor(IdsOf(joint), IdsOf(left)).ok());
}

TEST(MemberListTest, AVoterThatGoesIsThereUntilTheJointStepIsLeft) {
  const ClusterConfiguration joint = Removing(ThreeMembers(), 2);
  EXPECT_THAT(IdsOfMembers(joint), ElementsAre(1, 2, 3));
  EXPECT_THAT(joint.voters(), ElementsAre(1));
  EXPECT_THAT(joint.outgoing_voters(), ElementsAre(1, 2));
  EXPECT_FALSE(WasRemoved(joint, 2));
  const ClusterConfiguration left = Left(joint);
  EXPECT_THAT(IdsOfMembers(left), ElementsAre(1, 3));
  EXPECT_TRUE(WasRemoved(left, 2));
  EXPECT_TRUE(raft::CheckSuccessor(IdsOf(ThreeMembers()), IdsOf(joint)).ok());
  EXPECT_TRUE(raft::CheckSuccessor(IdsOf(joint), IdsOf(left)).ok());
}

TEST(MemberListTest, AnAddressChangesAlone) {
  ClusterConfiguration expected = ThreeMembers();
  expected.mutable_members(1)->set_peer_address("moved:2");
  expected.set_last_member_id(3);
  EXPECT_EQ(WithPeerAddress(ThreeMembers(), 2, "moved:2").SerializeAsString(),
            expected.SerializeAsString());
}

}  // namespace
}  // namespace raftkv::kv
