#include "server/peer/payload_check.h"

#include "absl/strings/str_cat.h"
#include "kv/member_list.h"
#include "raft/core/describe.h"

namespace raftkv::server {
namespace {

// Applied, the one of another cluster would end this member at its every start. One may lack this
// member, which joined later or is removed by it, but none can hold another in its place.
absl::Status CheckConfiguration(const PeerContext& context, const raft::Entry& entry) {
  const uint64_t cluster_id = context.directory->cluster_id();
  log::v1::ClusterConfiguration configuration;
  if (!configuration.ParseFromString(*entry.payload) || configuration.cluster_id() != cluster_id) {
    return absl::InvalidArgumentError(
        absl::StrCat("entry ", raft::Describe(entry.id), " holds a configuration of cluster ",
                     configuration.cluster_id(), ", this is cluster ", cluster_id));
  }
  const kv::MemberDirectory::Self& self = context.self();
  const log::v1::ConfiguredMember* const same_id = kv::FindMember(configuration, self.id);
  if (same_id != nullptr && (same_id->data_id() != self.data_id || same_id->name() != self.name)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "entry ", raft::Describe(entry.id), " holds a configuration with member ", self.id, " \"",
        same_id->name(), "\", and that is this member, \"", self.name, "\""));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckPayloads(const PeerContext& context, const raft::Message& message) {
  const auto* append = std::get_if<raft::AppendRequest>(&message);
  if (append == nullptr) {
    return absl::OkStatus();
  }
  absl::Status status;
  for (const raft::Entry& entry : append->entries) {
    switch (entry.kind) {
      case raft::EntryKind::kNoOp:
      case raft::EntryKind::kCommands:
        break;
      case raft::EntryKind::kConfiguration:
        status.Update(CheckConfiguration(context, entry));
        break;
    }
  }
  return status;
}

}  // namespace raftkv::server
