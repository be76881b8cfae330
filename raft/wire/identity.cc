#include "raft/wire/identity.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"

namespace raftkv::wire {
namespace {

// nullptr: not a member.
const log::v1::ConfiguredMember* FindMember(const log::v1::ClusterConfiguration& configuration,
                                            uint64_t id) {
  for (const log::v1::ConfiguredMember& member : configuration.members()) {
    if (member.id() == id) {
      return &member;
    }
  }
  return nullptr;
}

// As kv/member_list.h's.
uint64_t LastIdOf(const log::v1::ClusterConfiguration& configuration) {
  uint64_t last = configuration.last_member_id();
  for (const log::v1::ConfiguredMember& member : configuration.members()) {
    last = std::max(last, member.id());
  }
  return last;
}

absl::Status Mismatch(const peer::v1::PeerIdentity& identity,
                      const log::v1::ClusterConfiguration& configuration, raft::NodeId self,
                      absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(
      what, ": caller is member ", identity.sender_id(), " of cluster ", identity.cluster_id(),
      " with data id ", absl::Hex(identity.sender_data_id(), absl::kZeroPad16), ", protocol ",
      identity.protocol_version(), ", calling member ", identity.addressee_id(),
      "; callee is member ", self.value(), " of cluster ", configuration.cluster_id(),
      ", protocol ", kProtocolVersion));
}

}  // namespace

peer::v1::PeerIdentity MakeIdentity(const log::v1::ClusterConfiguration& configuration,
                                    raft::NodeId sender, raft::NodeId addressee) {
  const log::v1::ConfiguredMember* member = FindMember(configuration, sender.value());
  peer::v1::PeerIdentity identity;
  identity.set_cluster_id(configuration.cluster_id());
  identity.set_sender_id(sender.value());
  if (member != nullptr) {
    identity.set_sender_data_id(member->data_id());
    identity.set_sender_name(member->name());
  }
  identity.set_addressee_id(addressee.value());
  identity.set_protocol_version(kProtocolVersion);
  return identity;
}

absl::Status CheckIdentity(const peer::v1::PeerIdentity& identity,
                           const log::v1::ClusterConfiguration& configuration, raft::NodeId self) {
  if (identity.protocol_version() != kProtocolVersion) {
    return Mismatch(identity, configuration, self, "protocol version is not spoken here");
  }
  if (identity.cluster_id() != configuration.cluster_id()) {
    return Mismatch(identity, configuration, self, "cluster ids differ");
  }
  if (identity.addressee_id() != self.value()) {
    return Mismatch(identity, configuration, self, "addressee is somebody else");
  }
  const log::v1::ConfiguredMember* member = FindMember(configuration, identity.sender_id());
  if (member == nullptr && identity.sender_id() > LastIdOf(configuration) &&
      !identity.sender_name().empty()) {
    return absl::OkStatus();  // Added later than this configuration.
  }
  if (member == nullptr || identity.sender_id() == self.value()) {
    return Mismatch(identity, configuration, self, "caller is not another member");
  }
  if (identity.sender_data_id() != member->data_id()) {
    return Mismatch(identity, configuration, self,
                    absl::StrCat("caller's data directory is not the one that it joined with, "
                                 "which had data id ",
                                 absl::Hex(member->data_id(), absl::kZeroPad16)));
  }
  return absl::OkStatus();
}

}  // namespace raftkv::wire
