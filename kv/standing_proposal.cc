#include "kv/standing_proposal.h"

#include <google/protobuf/util/message_differencer.h>

#include <algorithm>

#include "base/version.h"
#include "kv/command_version.h"

namespace raftkv::kv {
namespace {

constexpr MonotonicNanos kLookInterval = kNanosPerSecond / 5;

}  // namespace

void StandingProposal::Tick() {
  const MonotonicNanos now = clock_.Now();
  if (under_way_ || now < next_look_) {
    return;
  }
  // A member that is behind would propose what is in the log already.
  if (!store_.raft().is_caught_up()) {
    next_look_ = now + kLookInterval / 2;
    return;
  }
  next_look_ = now + kLookInterval;
  const std::optional<log::v1::Command> command = missing_();
  if (!command.has_value()) {
    return;
  }
  under_way_ = true;
  // Whatever comes of it, the next look decides whether it has to be said again.
  store_.Write(*command, now + timeout_,
               [this](const absl::StatusOr<log::v1::CommandOutcome>&) { under_way_ = false; });
}

// A field that is newer than the cluster version must be left out, or the record would wait for
// what it is to bring about.
std::optional<log::v1::Command> UnpublishedRecord(const MemberDirectory& directory) {
  const MemberDirectory::Self& self = directory.self();
  log::v1::Command command;
  log::v1::MemberRecord* record = command.mutable_member_record();
  record->set_member_id(self.id);
  record->set_client_address(self.client_address);
  record->set_peer_address(self.peer_address);
  record->set_version(kVersion);
  record->set_command_version(OwnCommandVersion());
  if (self.priority != raft::kPriorityDefault &&
      directory.cluster_version() >= kPriorityCommandVersion) {
    record->set_priority(static_cast<uint32_t>(self.priority));
  }
  const log::v1::MemberRecord* known = directory.PublishedBy(self.id);
  if (known != nullptr && google::protobuf::util::MessageDifferencer::Equals(*known, *record)) {
    return std::nullopt;
  }
  return command;
}

std::optional<log::v1::Command> DueVersionRaise(const MemberDirectory& directory,
                                                const Store& store) {
  if (store.raft().role != raft::RaftRole::kLeader) {
    return std::nullopt;
  }
  uint32_t least = OwnCommandVersion();
  for (const MemberEntry& member : directory.Members()) {
    // 0 before it has published one.
    least = std::min(least, member.command_version);
  }
  if (least <= store.cluster_version()) {
    return std::nullopt;
  }
  log::v1::Command command;
  command.mutable_raise_cluster_version()->set_version(least);
  return command;
}

}  // namespace raftkv::kv
