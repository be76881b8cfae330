#include "raft/wire/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace raftkv::wire {
namespace {

using ::testing::HasSubstr;

constexpr raft::NodeId kSender{1};
constexpr raft::NodeId kSelf{2};

log::v1::ClusterConfiguration Configuration() {
  log::v1::ClusterConfiguration configuration;
  configuration.set_cluster_id(0xabc);
  for (uint64_t id = 1; id <= 3; ++id) {
    log::v1::ConfiguredMember* member = configuration.add_members();
    member->set_id(id);
    member->set_data_id(1000 + id);
    configuration.add_voters(id);
  }
  return configuration;
}

TEST(IdentityTest, AMemberIsKnown) {
  const peer::v1::PeerIdentity identity = MakeIdentity(Configuration(), kSender, kSelf);
  EXPECT_EQ(identity.sender_data_id(), 1001u);
  EXPECT_TRUE(CheckIdentity(identity, Configuration(), kSelf).ok());
}

TEST(IdentityTest, WhoWasAddedLaterIsKnownByItsNewId) {
  log::v1::ClusterConfiguration configuration = Configuration();
  peer::v1::PeerIdentity identity = MakeIdentity(configuration, kSender, kSelf);
  identity.set_sender_id(5);
  identity.set_sender_name("n5");
  EXPECT_TRUE(CheckIdentity(identity, configuration, kSelf).ok());
  // One that was a member is removed.
  configuration.set_last_member_id(5);
  EXPECT_FALSE(CheckIdentity(identity, configuration, kSelf).ok());
  identity.set_sender_id(6);
  identity.clear_sender_name();
  EXPECT_FALSE(CheckIdentity(identity, configuration, kSelf).ok());
}

TEST(IdentityTest, EveryMismatchIsRefusedNamingBothSides) {
  struct Case {
    std::function<void(peer::v1::PeerIdentity*)> change;
    const char* said;
  };
  const std::vector<Case> cases = {
      {[](auto* identity) { identity->set_protocol_version(kProtocolVersion + 1); },
       "protocol version"},
      {[](auto* identity) { identity->set_cluster_id(0xdef); }, "cluster ids differ"},
      {[](auto* identity) { identity->set_addressee_id(3); }, "addressee is somebody else"},
      {[](auto* identity) { identity->set_sender_id(4); }, "caller is not another member"},
      {[](auto* identity) { identity->set_sender_id(2); }, "caller is not another member"},
      {[](auto* identity) { identity->set_sender_data_id(7); }, "caller's data directory"},
      {[](auto* identity) { identity->Clear(); }, "protocol version"},
  };
  for (const Case& mismatch : cases) {
    SCOPED_TRACE(mismatch.said);
    peer::v1::PeerIdentity identity = MakeIdentity(Configuration(), kSender, kSelf);
    mismatch.change(&identity);
    const absl::Status status = CheckIdentity(identity, Configuration(), kSelf);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    const std::string message(status.message());
    EXPECT_THAT(message, HasSubstr(mismatch.said));
    EXPECT_THAT(message, HasSubstr("caller is member " + std::to_string(identity.sender_id())));
    EXPECT_THAT(message, HasSubstr("callee is member 2 of cluster 2748,"));
  }
}

}  // namespace
}  // namespace raftkv::wire
