#include "server/cluster_service.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "server/api_error.h"
#include "server/limits.h"
#include "server/quorum_watch.h"

namespace raftkv::server {
namespace {

v1::RaftState ToProto(raft::RaftRole role) {
  switch (role) {
    case raft::RaftRole::kFollower:
      return v1::RAFT_STATE_FOLLOWER;
    case raft::RaftRole::kPreCandidate:
      return v1::RAFT_STATE_PRE_CANDIDATE;
    case raft::RaftRole::kCandidate:
      return v1::RAFT_STATE_CANDIDATE;
    case raft::RaftRole::kLeader:
      return v1::RAFT_STATE_LEADER;
  }
  return v1::RAFT_STATE_UNSPECIFIED;
}

}  // namespace

void ClusterService::Start() {
  const auto add = [this](void (ClusterService::*handle)(UnaryCall*)) {
    methods_.push_back(
        UnaryCall::Method{.service = &grpc_service_,
                          .number = static_cast<int>(methods_.size()),
                          .handle = [this, handle](UnaryCall* call) { (this->*handle)(call); },
                          .unsendable = Unread,
                          .queue = node_->loop->queue(),
                          .accounting = &node_->calls});
  };
  // In the order of grpc_service_.
  add(&ClusterService::HandleListMembers);
  add(&ClusterService::HandleGetStatus);
  for (const UnaryCall::Method& method : methods_) {
    UnaryCall::Announce(method, kPostedCallsPerMethod);
  }
}

void ClusterService::HandleListMembers(UnaryCall* call) {
  v1::ListMembersRequest request;
  if (!call->Parse(&request)) {
    return;
  }
  const MonotonicNanos deadline = call->AnswerBy();
  node_->ReadWhenFresh(call, request.consistency(), deadline,
                       [this, call] { FinishListMembers(call); });
}

void ClusterService::FinishListMembers(UnaryCall* call) const {
  v1::ListMembersResponse response;
  node_->FillHeader(node_->state_machine->revision(), response.mutable_header());
  if (node_->configuration().has_value()) {
    const log::v1::ClusterConfiguration& configuration = *node_->configuration();
    const auto& records = node_->state_machine->member_records();
    const std::set<uint64_t> learners(configuration.learners().begin(),
                                      configuration.learners().end());
    for (const log::v1::ConfiguredMember& configured : configuration.members()) {
      v1::Member* member = response.add_members();
      member->set_id(configured.id());
      member->set_name(configured.name());
      member->set_peer_address(configured.peer_address());
      member->set_role(learners.contains(configured.id()) ? v1::MEMBER_ROLE_LEARNER
                                                          : v1::MEMBER_ROLE_VOTER);
      member->set_is_leader(configured.id() == node_->driver->core().leader().value());
      if (const auto record = records.find(configured.id()); record != records.end()) {
        member->set_client_address(record->second.client_address());
        member->set_peer_address(record->second.peer_address());
        member->set_version(record->second.version());
      }
    }
  }
  call->Finish(response);
}

void ClusterService::FillStatus(v1::GetStatusResponse* response) const {
  const raft::RaftCore& core = node_->driver->core();
  node_->FillHeader(node_->state_machine->revision(), response->mutable_header());
  response->set_version(kVersion);
  response->set_name(node_->options->name);
  response->set_last_index(core.last_entry().index.value());
  response->set_commit_index(core.commit_index().value());
  response->set_applied_index(node_->state_machine->applied().index.value());
  response->set_key_count(node_->state_machine->key_count());
  response->set_disk_bytes(node_->disk_bytes);
  const MonotonicNanos uptime = node_->clock->Now() - node_->started_at;
  response->mutable_uptime()->set_seconds(uptime / kNanosPerSecond);
  response->mutable_uptime()->set_nanos(static_cast<int32_t>(uptime % kNanosPerSecond));
  if (!node_->configuration().has_value()) {
    response->add_warnings(
        "the cluster is not founded yet: not every founding member has answered");
    return;
  }
  response->set_raft_state(ToProto(core.role()));
  const raft::Configuration& configuration = core.configuration();
  response->set_role(configuration.IsVoter(core.self()) ? v1::MEMBER_ROLE_VOTER
                                                        : v1::MEMBER_ROLE_LEARNER);
  if (std::string warning = node_->quorum_watch->Warning(); !warning.empty()) {
    response->add_warnings(std::move(warning));
  }
  if (configuration.voters.size() % 2 == 0) {
    response->add_warnings(
        "the number of voters is even: one voter less would survive as many failures");
  }
  if (const PeerRefusals& refusals = node_->peer_refusals; refusals.count() > 0) {
    response->add_warnings(
        absl::StrCat("refused ", refusals.count(), " peer calls, the last one: ", refusals.last()));
  }
}

void ClusterService::HandleGetStatus(UnaryCall* call) {
  v1::GetStatusRequest request;
  if (!call->Parse(&request)) {
    return;
  }
  v1::GetStatusResponse response;
  FillStatus(&response);
  call->Finish(response);
}

}  // namespace raftkv::server
