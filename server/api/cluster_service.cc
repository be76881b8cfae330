#include "server/api/cluster_service.h"

#include <algorithm>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/version.h"
#include "kv/errors.h"

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

// What a client is told of how a leader's driver ended its handover.
absl::Status TransferError(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
      return kv::NotCaughtUpError(status.message());
    case absl::StatusCode::kResourceExhausted:
      return kv::OverloadedError();
    case absl::StatusCode::kUnavailable:
      return kv::NoLeaderError();
    default:
      return absl::Status(status.code(), absl::StrCat("the leader answered: ", status.message()));
  }
}

google::protobuf::Duration ToProto(MonotonicNanos nanos) {
  google::protobuf::Duration duration;
  duration.set_seconds(nanos / kNanosPerSecond);
  duration.set_nanos(static_cast<int32_t>(nanos % kNanosPerSecond));
  return duration;
}

void Fill(const RecentLatency::Summary& latency, v1::Latency* proto) {
  proto->set_count(static_cast<int64_t>(latency.count));
  if (latency.count > 0) {
    *proto->mutable_p50() = ToProto(latency.p50);
    *proto->mutable_p99() = ToProto(latency.p99);
  }
}

}  // namespace

void FillStats(const RequestStats& stats, v1::RequestStats* proto) {
  const RecentLatency::Summary reads = stats.reads();
  *proto->mutable_window() = ToProto(reads.window);
  Fill(reads, proto->mutable_reads());
  Fill(stats.writes(), proto->mutable_writes());
  Fill(stats.failed(), proto->mutable_failed());
  Fill(stats.syncs(), proto->mutable_syncs());
}

ClusterService::ClusterService(const kv::MemberDirectory* directory, kv::Store* store,
                               raft::RaftDriver* driver, const MonotonicClock* clock,
                               ResponseHeaderFiller header, Hooks hooks)
    : directory_(*directory),
      store_(*store),
      driver_(*driver),
      clock_(*clock),
      header_(std::move(header)),
      hooks_(std::move(hooks)) {
  service_.AddMethod<v1::ListMembersRequest>(
      "ListMembers", kv::UnreadError,
      [this](ApiCall* call, const v1::ListMembersRequest& request) { ListMembers(call, request); });
  service_.AddMethod<v1::TransferLeadershipRequest>(
      "TransferLeadership", kv::UnreadError,
      [this](ApiCall* call, const v1::TransferLeadershipRequest& request) {
        TransferLeadership(call, request);
      });
  AddMembershipMethods();
  service_.AddMethod<v1::GetStatusRequest>("GetStatus", kv::UnreadError,
                                           [this](ApiCall* call, const v1::GetStatusRequest&) {
                                             v1::GetStatusResponse response;
                                             FillStatus(&response);
                                             call->Finish(response);
                                           });
}

void ClusterService::ListMembers(ApiCall* call, const v1::ListMembersRequest& request) {
  const kv::ReadFreshness freshness{.linearizable = request.consistency() != v1::CONSISTENCY_STALE,
                                    .min_revision = 0,
                                    .deadline = call->AnswerBy()};
  store_.AwaitFreshness(freshness, [this, call](const absl::Status& fresh) {
    if (fresh.ok()) {
      FinishListMembers(call);
    } else {
      call->Fail(fresh);
    }
  });
}

void ClusterService::FinishListMembers(ApiCall* call) const {
  v1::ListMembersResponse response;
  header_(store_.revision(), response.mutable_header());
  for (const kv::MemberEntry& entry : directory_.Members()) {
    FillMember(entry, response.add_members());
  }
  call->Finish(response);
}

void ClusterService::FillMember(const kv::MemberEntry& entry, v1::Member* member) const {
  member->set_id(entry.id);
  member->set_name(entry.name);
  member->set_peer_address(entry.peer_address);
  member->set_client_address(entry.client_address);
  member->set_role(entry.learner ? v1::MEMBER_ROLE_LEARNER : v1::MEMBER_ROLE_VOTER);
  member->set_is_leader(entry.id == store_.raft().leader.value());
  member->set_version(entry.version);
  member->set_priority(static_cast<uint32_t>(entry.priority));
}

template <typename Request>
absl::StatusOr<raft::NodeId> ClusterService::FindTarget(const Request& request) const {
  if (request.target_case() == Request::TARGET_NOT_SET) {
    return raft::kNobody;
  }
  for (const kv::MemberEntry& member : directory_.Members()) {
    if (request.has_id() ? member.id == request.id() : member.name == request.name()) {
      return raft::NodeId(member.id);
    }
  }
  // It may be repeated by who did not hear the answer.
  if (std::is_same_v<Request, v1::RemoveMemberRequest> && directory_.IsRemoved(request.id())) {
    return raft::NodeId(request.id());
  }
  return request.has_id() ? kv::MemberNotFoundError("id", absl::StrCat(request.id()))
                          : kv::MemberNotFoundError("name", request.name());
}

// First a read index: it waits for a leader as every request does.
void ClusterService::TransferLeadership(ApiCall* call,
                                        const v1::TransferLeadershipRequest& request) {
  const kv::ReadFreshness freshness{
      .linearizable = true, .min_revision = 0, .deadline = call->AnswerBy()};
  store_.AwaitFreshness(freshness, [this, call, request](const absl::Status& fresh) {
    const absl::StatusOr<raft::NodeId> target = FindTarget(request);
    if (!fresh.ok() || !target.ok()) {
      call->Fail(fresh.ok() ? target.status() : fresh);
      return;
    }
    HandOver(call, *target,
             [this, call](const absl::Status& status) { FinishTransfer(call, status); });
  });
}

void ClusterService::HandOver(ApiCall* call, raft::NodeId target,
                              std::function<void(const absl::Status&)> done) {
  const raft::RaftStatus raft = store_.raft();
  if (raft.leader == raft::kNobody) {
    done(absl::UnavailableError("nobody is known to lead"));
  } else if (raft.role == raft::RaftRole::kLeader) {
    driver_.TransferLeadership(target, std::move(done));
  } else if (raft.leader == target) {
    done(absl::OkStatus());
  } else {
    hooks_.transfer_at(raft.leader, target, call->AnswerBy(), std::move(done));
  }
}

void ClusterService::FinishTransfer(ApiCall* call, const absl::Status& status) {
  if (!status.ok()) {
    call->Fail(TransferError(status));
    return;
  }
  // So that this member, too, knows who leads, and that it can.
  const kv::ReadFreshness freshness{
      .linearizable = true, .min_revision = 0, .deadline = call->AnswerBy()};
  store_.AwaitFreshness(freshness, [this, call](const absl::Status& fresh) {
    if (!fresh.ok()) {
      call->Fail(fresh);
      return;
    }
    v1::TransferLeadershipResponse response;
    header_(store_.revision(), response.mutable_header());
    call->Finish(response);
  });
}

void ClusterService::AddMembershipMethods() {
  service_.AddMethod<v1::AddMemberRequest>(
      "AddMember", kv::UnreadOutcomeError,
      [this](ApiCall* call, const v1::AddMemberRequest& request) { AddMember(call, request); });
  service_.AddMethod<v1::RemoveMemberRequest>(
      "RemoveMember", kv::UnreadOutcomeError,
      [this](ApiCall* call, const v1::RemoveMemberRequest& request) {
        RemoveMember(call, request);
      });
  service_.AddMethod<v1::PromoteMemberRequest>(
      "PromoteMember", kv::UnreadOutcomeError,
      [this](ApiCall* call, const v1::PromoteMemberRequest& request) {
        PromoteMember(call, request);
      });
  service_.AddMethod<v1::UpdateMemberRequest>(
      "UpdateMember", kv::UnreadOutcomeError,
      [this](ApiCall* call, const v1::UpdateMemberRequest& request) {
        UpdateMember(call, request);
      });
}

template <typename Request>
void ClusterService::WithTarget(ApiCall* call, const Request& request,
                                std::function<void(raft::NodeId target)> then) {
  const kv::ReadFreshness freshness{
      .linearizable = true, .min_revision = 0, .deadline = call->AnswerBy()};
  store_.AwaitFreshness(freshness,
                        [this, call, request, then = std::move(then)](const absl::Status& fresh) {
                          absl::StatusOr<raft::NodeId> target = FindTarget(request);
                          if (target.ok() && *target == raft::kNobody) {
                            target = kv::MemberNotFoundError("name", "");
                          }
                          if (!fresh.ok() || !target.ok()) {
                            call->Fail(fresh.ok() ? target.status() : fresh);
                          } else {
                            then(*target);
                          }
                        });
}

template <typename Response>
void ClusterService::Change(ApiCall* call, const peer::v1::ChangeMembersRequest& change) {
  hooks_.change_members(change, call->AnswerBy(), [this, call](const absl::StatusOr<uint64_t>& id) {
    if (id.ok()) {
      AnswerWith<Response>(call, raft::NodeId(*id));
    } else {
      call->Fail(id.status());
    }
  });
}

// Once this member has applied what it answers.
template <typename Response>
void ClusterService::AnswerWith(ApiCall* call, raft::NodeId id) {
  const kv::ReadFreshness freshness{
      .linearizable = true, .min_revision = 0, .deadline = call->AnswerBy()};
  store_.AwaitFreshness(freshness, [this, call, id](const absl::Status& fresh) {
    if (!fresh.ok()) {
      call->Fail(kv::ChangeUnknownError());
      return;
    }
    Response response;
    header_(store_.revision(), response.mutable_header());
    if (const auto member = directory_.Find(id); member.has_value()) {
      FillMember(*member, response.mutable_member());
    }
    call->Finish(response);
  });
}

void ClusterService::AddMember(ApiCall* call, const v1::AddMemberRequest& request) {
  const kv::ReadFreshness freshness{
      .linearizable = true, .min_revision = 0, .deadline = call->AnswerBy()};
  store_.AwaitFreshness(freshness, [this, call, request](const absl::Status& fresh) {
    if (!fresh.ok()) {
      call->Fail(fresh);
      return;
    }
    peer::v1::ChangeMembersRequest change;
    change.mutable_add()->set_name(request.name());
    change.mutable_add()->set_peer_address(request.peer_address());
    change.mutable_add()->set_stay_learner(request.stay_learner());
    Change<v1::AddMemberResponse>(call, change);
  });
}

// A leader that is to go hands over before, so that writes wait for no election.
void ClusterService::RemoveMember(ApiCall* call, const v1::RemoveMemberRequest& request) {
  WithTarget(call, request, [this, call](raft::NodeId target) {
    const std::vector<kv::MemberEntry> members = directory_.Members();
    const auto voters = std::count_if(members.begin(), members.end(),
                                      [](const auto& entry) { return !entry.learner; });
    if (store_.raft().leader != target || voters == 1) {
      Remove(call, target);
      return;
    }
    HandOver(call, raft::kNobody, [this, call, target](const absl::Status& status) {
      if (!status.ok()) {
        call->Fail(absl::IsUnavailable(status)
                       ? kv::NoLeaderError()
                       : kv::WouldLoseQuorumError(absl::StrCat(
                             "the leader cannot hand over first: ", status.message())));
        return;
      }
      const kv::ReadFreshness freshness{
          .linearizable = true, .min_revision = 0, .deadline = call->AnswerBy()};
      store_.AwaitFreshness(freshness, [this, call, target](const absl::Status& fresh) {
        if (fresh.ok()) {
          Remove(call, target);
        } else {
          call->Fail(fresh);
        }
      });
    });
  });
}

// This member may be the one that goes, so it answers at once.
void ClusterService::Remove(ApiCall* call, raft::NodeId target) {
  peer::v1::ChangeMembersRequest change;
  change.set_remove_id(target.value());
  hooks_.change_members(change, call->AnswerBy(), [this, call](const absl::StatusOr<uint64_t>& id) {
    if (!id.ok()) {
      call->Fail(id.status());
      return;
    }
    v1::RemoveMemberResponse response;
    header_(store_.revision(), response.mutable_header());
    call->Finish(response);
  });
}

void ClusterService::PromoteMember(ApiCall* call, const v1::PromoteMemberRequest& request) {
  WithTarget(call, request, [this, call](raft::NodeId target) {
    peer::v1::ChangeMembersRequest change;
    change.set_promote_id(target.value());
    Change<v1::PromoteMemberResponse>(call, change);
  });
}

void ClusterService::UpdateMember(ApiCall* call, const v1::UpdateMemberRequest& request) {
  WithTarget(call, request, [this, call, address = request.peer_address()](raft::NodeId target) {
    peer::v1::ChangeMembersRequest change;
    change.mutable_update()->set_id(target.value());
    change.mutable_update()->set_peer_address(address);
    hooks_.change_members(change, call->AnswerBy(),
                          [this, call, target, address](const absl::StatusOr<uint64_t>& id) {
                            if (id.ok()) {
                              PublishFor(call, target, address);
                            } else {
                              call->Fail(id.status());
                            }
                          });
  });
}

// What the member published itself counts for more than the configuration, and it cannot say
// anything else now.
void ClusterService::PublishFor(ApiCall* call, raft::NodeId target, const std::string& address) {
  const log::v1::MemberRecord* const published = directory_.PublishedBy(target.value());
  if (published == nullptr || published->peer_address() == address) {
    AnswerWith<v1::UpdateMemberResponse>(call, target);
    return;
  }
  log::v1::Command command;
  *command.mutable_member_record() = *published;
  command.mutable_member_record()->set_peer_address(address);
  store_.Write(command, call->AnswerBy(),
               [this, call, target](const absl::StatusOr<log::v1::CommandOutcome>& outcome) {
                 if (outcome.ok()) {
                   AnswerWith<v1::UpdateMemberResponse>(call, target);
                 } else {
                   call->Fail(kv::ChangeUnknownError());
                 }
               });
}

void ClusterService::FillStatus(v1::GetStatusResponse* response) const {
  const raft::RaftStatus raft = store_.raft();
  header_(store_.revision(), response->mutable_header());
  response->set_version(kVersion);
  response->set_name(directory_.self().name);
  response->set_last_index(raft.last_entry.index.value());
  response->set_commit_index(raft.commit_index.value());
  response->set_applied_index(raft.applied.index.value());
  response->set_key_count(store_.key_count());
  response->set_disk_bytes(hooks_.disk_bytes());
  hooks_.fill_memory(response->mutable_memory());
  response->mutable_memory()->set_log_bytes(static_cast<int64_t>(raft.log_memory_bytes));
  *response->mutable_uptime() = ToProto(clock_.Now() - hooks_.started_at);
  hooks_.fill_requests(response->mutable_requests());
  hooks_.fill_peers(response);
  hooks_.fill_watches(response->mutable_watches());
  for (std::string& warning : Warnings()) {
    response->add_warnings(std::move(warning));
  }
  if (!directory_.founded()) {
    return;
  }
  const std::optional<kv::MemberEntry> self = directory_.Find(raft.self);
  response->set_raft_state(ToProto(raft.role));
  response->set_role(self.has_value() && !self->learner ? v1::MEMBER_ROLE_VOTER
                                                        : v1::MEMBER_ROLE_LEARNER);
}

std::vector<std::string> ClusterService::Warnings() const {
  if (!directory_.founded()) {
    return hooks_.warnings();  // What is waited for.
  }
  const raft::RaftStatus raft = store_.raft();
  const std::vector<kv::MemberEntry> members = directory_.Members();
  const auto voters = std::count_if(members.begin(), members.end(),
                                    [](const kv::MemberEntry& entry) { return !entry.learner; });
  std::vector<std::string> warnings = hooks_.warnings();
  if (voters % 2 == 0) {
    warnings.push_back(
        "the number of voters is even: one voter less would survive as many failures");
  }
  if (raft.disagreement != raft::LogIndex(0)) {
    warnings.push_back(absl::StrCat("the states of the members after entry ",
                                    raft.disagreement.value(),
                                    " differ, and no majority of the voters has the same"));
  }
  for (const raft::NodeId member : raft.low_on_disk) {
    warnings.push_back(absl::StrCat("the disk of member ", directory_.Describe(member),
                                    " has less than its --disk_reserve_bytes free: puts are "
                                    "refused"));
  }
  return warnings;
}

}  // namespace raftkv::server
