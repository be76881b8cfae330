#include "kv/member_publisher.h"

#include <google/protobuf/util/message_differencer.h>

#include "base/version.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {
namespace {

constexpr MonotonicNanos kLookInterval = kNanosPerSecond;

}  // namespace

void MemberPublisher::Tick() {
  const MonotonicNanos now = clock_.Now();
  if (under_way_ || now < next_look_) {
    return;
  }
  // A member that is behind would propose what is in the log already.
  if (!store_.raft().is_caught_up()) {
    next_look_ = now + kLookInterval / 10;
    return;
  }
  next_look_ = now + kLookInterval;
  const MemberDirectory::Self& self = directory_.self();
  log::v1::Command command;
  log::v1::MemberRecord* record = command.mutable_member_record();
  record->set_member_id(self.id);
  record->set_client_address(self.client_address);
  record->set_peer_address(self.peer_address);
  record->set_version(kVersion);
  const log::v1::MemberRecord* known = directory_.PublishedBy(self.id);
  if (known != nullptr && google::protobuf::util::MessageDifferencer::Equals(*known, *record)) {
    return;
  }
  under_way_ = true;
  // Whatever comes of it, the next look decides whether it has to be said again.
  store_.Write(command, now + timeout_,
               [this](const absl::StatusOr<log::v1::CommandOutcome>&) { under_way_ = false; });
}

}  // namespace raftkv::kv
