#include "server/member_publisher.h"

#include <google/protobuf/util/message_differencer.h>

#include "base/version.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kLookInterval = kNanosPerSecond;

}  // namespace

void MemberPublisher::Tick() {
  const MonotonicNanos now = node_->clock->Now();
  if (under_way_ || now < next_look_) {
    return;
  }
  next_look_ = now + kLookInterval;
  // A member that is behind would propose what is in the log already.
  const raft::RaftCore& core = node_->driver->core();
  if (core.leader() == raft::kNobody || node_->state_machine->applied().term != core.term()) {
    next_look_ = now + kLookInterval / 10;
    return;
  }
  log::v1::Command command;
  log::v1::MemberRecord* record = command.mutable_member_record();
  record->set_member_id(node_->member_id);
  record->set_client_address(node_->client_address);
  record->set_peer_address(node_->peer_address);
  record->set_version(kVersion);
  const auto& records = node_->state_machine->member_records();
  const auto known = records.find(node_->member_id);
  if (known != records.end() &&
      google::protobuf::util::MessageDifferencer::Equals(known->second, *record)) {
    return;
  }
  under_way_ = true;
  // Whatever comes of it, the next look decides whether it has to be said again.
  node_->driver->Propose(command.SerializeAsString(), now + node_->RequestTimeout(),
                         [this](raft::ProposalResult, std::string) { under_way_ = false; });
}

}  // namespace raftkv::server
