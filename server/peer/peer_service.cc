#include "server/peer/peer_service.h"

#include <glog/logging.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "kv/command_semantics.h"
#include "kv/member_list.h"
#include "raft/wire/convert.h"
#include "raft/wire/identity.h"
#include "server/limits.h"
#include "server/loop/grpc_error.h"
#include "server/peer/grpc_status.h"
#include "server/peer/incoming_call.h"
#include "server/peer/payload_check.h"
#include "storage/disk_failure.h"

namespace raftkv::server {
namespace {

// Whether the caller is a member of this cluster that means this member.
grpc::Status CheckIdentity(const PeerContext& context, const peer::v1::PeerIdentity& identity) {
  if (!context.directory->founded()) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE,
                        absl::StrCat("member \"", context.self().name, "\" is not founded yet"));
  }
  const log::v1::ClusterConfiguration& own = *context.directory->configuration();
  const log::v1::ClusterConfiguration& newest = context.directory->newest();
  absl::Status status = wire::CheckIdentity(identity, newest, context.self_id());
  // Who is being removed counts until that is committed.
  if (!status.ok() && kv::FindMember(newest, identity.sender_id()) == nullptr) {
    status = wire::CheckIdentity(identity, own, context.self_id());
  }
  if (own.members_size() == 1 && identity.cluster_id() != own.cluster_id()) {
    // Not more than a warning: the word of a stranger must not stop a node.
    LOG_EVERY_T(WARNING, 60) << "member " << identity.sender_id() << " of cluster "
                             << identity.cluster_id() << " calls this address for its member "
                             << identity.addressee_id() << ", but this node is cluster "
                             << own.cluster_id() << " all by itself. If it is meant to be that "
                             << "member, then --data_dir=" << context.data_dir
                             << " is not that member's, or was wiped, and without "
                                "--initial_cluster it founded a cluster of its own: stop it, and "
                                "start it with the directory that it had. Clients that know this "
                                "address may read and write the wrong cluster meanwhile";
  }
  return ToPeerStatus(status);
}

// How `node` has forgotten what it acknowledged to its leader; empty when it has not. Until another
// term begins here, nothing that this leader was promised can have been cut.
std::string ForgottenBy(const PeerContext& context, const peer::v1::PeerIdentity& leader) {
  const raft::RaftCore& core = context.driver->core();
  if (leader.acknowledged_in_term() < core.term().value() ||
      core.last_entry().index.value() >= leader.acknowledged_index() ||
      leader.acknowledged_in_term() == 0) {
    return "";
  }
  return absl::StrCat("--data_dir=", context.data_dir,
                      " has lost what this member acknowledged: its log ends at entry ",
                      core.last_entry().index.value(), ", but it had entry ",
                      leader.acknowledged_index(), " for member ", leader.sender_id(),
                      ", which leads term ", leader.acknowledged_in_term(),
                      ". Is it an older copy? ", storage::kRemedy);
}

absl::Status SecondOpening() {
  return absl::InvalidArgumentError("only the first frame of a stream may be an opening");
}

const grpc::Status kStopping(grpc::StatusCode::UNAVAILABLE, "the member is stopping");

// How this member is too old for the cluster of the caller; empty when it is not.
std::string TooOldFor(const PeerContext& context, const peer::v1::PeerIdentity& caller) {
  const absl::Status known = kv::CheckClusterVersion(caller.cluster_version());
  return known.ok() ? "" : absl::StrCat("--data_dir=", context.data_dir, ": ", known.message());
}

}  // namespace

class PeerService::HelloCall final
    : public IncomingCall<RaftGrpcService, peer::v1::HelloRequest, peer::v1::HelloResponse> {
 public:
  explicit HelloCall(PeerService* service)
      : IncomingCall(service->context_->loop, &service->raft_service_,
                     &RaftGrpcService::RequestHello),
        service_(service) {}

 private:
  void OnArrived(const peer::v1::HelloRequest& request) override {
    new HelloCall(service_);
    service_->OnHello(this, request);
  }

  PeerService* const service_;
};

// Open until the core answers.
class PeerService::VoteCall final
    : public IncomingCall<RaftGrpcService, peer::v1::RequestVoteRequest,
                          peer::v1::RequestVoteResponse> {
 public:
  explicit VoteCall(PeerService* service)
      : IncomingCall(service->context_->loop, &service->raft_service_,
                     &RaftGrpcService::RequestRequestVote),
        service_(service) {}

  bool pre_vote() const { return request_.pre_vote(); }
  MonotonicNanos arrived_at() const { return arrived_at_; }

 private:
  void OnArrived(const peer::v1::RequestVoteRequest& request) override {
    new VoteCall(service_);
    arrived_at_ = service_->context_->clock->Now();
    service_->OnVoteRequest(this, request);
  }

  MonotonicNanos arrived_at_ = 0;
  PeerService* const service_;
};

class PeerService::TimeoutNowCall final
    : public IncomingCall<RaftGrpcService, peer::v1::TimeoutNowRequest,
                          peer::v1::TimeoutNowResponse> {
 public:
  explicit TimeoutNowCall(PeerService* service)
      : IncomingCall(service->context_->loop, &service->raft_service_,
                     &RaftGrpcService::RequestTimeoutNow),
        service_(service) {}

 private:
  void OnArrived(const peer::v1::TimeoutNowRequest& request) override {
    new TimeoutNowCall(service_);
    service_->OnTimeoutNow(this, request);
  }

  PeerService* const service_;
};

// Open until the handover has ended, which the driver says.
class PeerService::TransferCall final
    : public IncomingCall<ForwardGrpcService, peer::v1::TransferLeadershipRequest,
                          peer::v1::TransferLeadershipResponse> {
 public:
  explicit TransferCall(PeerService* service)
      : IncomingCall(service->context_->loop, &service->forward_service_,
                     &ForwardGrpcService::RequestTransferLeadership),
        service_(service) {}

 private:
  void OnArrived(const peer::v1::TransferLeadershipRequest& request) override {
    new TransferCall(service_);
    service_->OnTransfer(this, request);
  }

  PeerService* const service_;
};

// Open until the change has ended.
class PeerService::ChangeCall final
    : public IncomingCall<ForwardGrpcService, peer::v1::ChangeMembersRequest,
                          peer::v1::ChangeMembersResponse> {
 public:
  explicit ChangeCall(PeerService* service)
      : IncomingCall(service->context_->loop, &service->forward_service_,
                     &ForwardGrpcService::RequestChangeMembers),
        service_(service) {}

 private:
  void OnArrived(const peer::v1::ChangeMembersRequest& request) override {
    new ChangeCall(service_);
    service_->OnChange(this, request);
  }

  PeerService* const service_;
};

SnapshotReceiver::Hooks PeerService::SnapshotHooks() {
  return {
      .check =
          [this](raft::NodeId from, raft::Term term, const raft::SnapshotPoint& point) {
            return context_->driver->CheckSnapshot(from, term, point);
          },
      .on_part_heard = [this](raft::NodeId from,
                              raft::Term term) { context_->driver->OnPartHeard(from, term); },
      .install =
          [this](raft::Term term, std::shared_ptr<raft::StagedSnapshot> snapshot,
                 std::function<void(const absl::Status&)> done) {
            context_->driver->InstallSnapshot(term, std::move(snapshot), std::move(done));
          },
      .stage =
          [this](const raft::SnapshotPoint& point) {
            return context_->state_machine->StageSnapshot(point);
          },
      .refuse_content =
          [this](raft::NodeId from, const absl::Status& status) {
            return context_->RefuseContent(from, status);
          },
      .describe = [this](raft::NodeId member) { return context_->directory->Describe(member); }};
}

void PeerService::StartSnapshots() {
  snapshots_ =
      std::make_unique<SnapshotReceiver>(context_->clock, context_->snapshots, SnapshotHooks());
  snapshot_streams_ = {
      .announce =
          [this](grpc::ServerContext* context, IncomingSnapshotStream::Reader* reader,
                 EventTag* tag) {
            raft_service_.RequestInstallSnapshot(context, reader, context_->loop->queue(),
                                                 context_->loop->announcements(), tag);
          },
      .check_opening =
          [this](const grpc::ServerContext& call, const peer::v1::InstallSnapshotRequest& frame) {
            return frame.has_opening() ? CheckOpening(call, frame.opening().identity())
                                       : NoOpening();
          },
      .receiver = snapshots_.get()};
  IncomingSnapshotStream::AnnounceNext(&snapshot_streams_);
}

void PeerService::Start(Hooks hooks) {
  hooks_ = std::move(hooks);
  announce_append_ = [this](grpc::ServerContext* context, AppendStream::Stream* stream,
                            EventTag* tag) {
    raft_service_.RequestAppendEntries(context, stream, context_->loop->queue(),
                                       context_->loop->announcements(), tag);
  };
  announce_forward_ = [this](grpc::ServerContext* context, ForwardStream::Stream* stream,
                             EventTag* tag) {
    forward_service_.RequestForward(context, stream, context_->loop->queue(),
                                    context_->loop->announcements(), tag);
  };
  // `from` stays kNobody until the opening was accepted.
  accept_append_ = [this](AppendStream* stream) {
    auto from = std::make_shared<raft::NodeId>(raft::kNobody);
    return AppendStream::Handlers{
        .on_frame =
            [this, stream, from](const peer::v1::AppendEntriesRequest& frame) {
              return OnAppendFrame(stream, from.get(), frame);
            },
        .on_malformed =
            [this, from](const grpc::Status& status) {
              return context_->RefuseContent(*from,
                                             absl::InvalidArgumentError(status.error_message()));
            },
        .on_part =
            [this, from](uint64_t term) { context_->driver->OnPartHeard(*from, raft::Term(term)); },
        .on_part_taken = nullptr,
        .on_open = nullptr,
        .on_end = [this, from] { append_streams_.erase(*from); },
        .on_status = nullptr};
  };
  accept_forward_ = [this](ForwardStream* stream) {
    auto from = std::make_shared<raft::NodeId>(raft::kNobody);
    return ForwardStream::Handlers{
        .on_frame =
            [this, stream, from](peer::v1::ForwardRequest frame) {
              return OnForwardFrame(stream, from.get(), std::move(frame));
            },
        .on_malformed =
            [this, from](const grpc::Status& status) {
              return context_->RefuseContent(*from,
                                             absl::InvalidArgumentError(status.error_message()));
            },
        .on_part = nullptr,
        .on_part_taken = nullptr,
        .on_open = nullptr,
        .on_end = [this, from] { forward_streams_.erase(*from); },
        .on_status = nullptr};
  };
  new HelloCall(this);
  new VoteCall(this);
  new TimeoutNowCall(this);
  new TransferCall(this);
  new ChangeCall(this);
  StartSnapshots();
  const BulkWindow window(context_->clock, context_->election_timeout);
  AppendStream::AnnounceNext(&announce_append_, &accept_append_, window);
  ForwardStream::AnnounceNext(&announce_forward_, &accept_forward_, window);
}

grpc::Status PeerService::NoOpening() {
  return context_->refusals.Refuse(grpc::Status(
      grpc::StatusCode::INVALID_ARGUMENT,
      absl::StrCat("the first frame of a stream to member ", context_->self().id, " \"",
                   context_->self().name, "\" must be an opening that says who calls")));
}

grpc::Status PeerService::CheckCaller(const grpc::ServerContext& call,
                                      const peer::v1::PeerIdentity& identity) {
  if (grpc::Status status = CheckIdentity(*context_, identity); !status.ok()) {
    return context_->refusals.Refuse(status);
  }
  // It is a member, since its identity is right; maybe one that this member has not heard of yet.
  const auto member = context_->directory->Find(raft::NodeId(identity.sender_id()));
  return context_->CheckCertificate(call,
                                    member.has_value() ? member->name : identity.sender_name());
}

grpc::Status PeerService::CheckOpening(const grpc::ServerContext& call,
                                       const peer::v1::PeerIdentity& identity) {
  if (grpc::Status status = CheckCaller(call, identity); !status.ok()) {
    return status;
  }
  for (const std::string& unusable :
       {ForgottenBy(*context_, identity), TooOldFor(*context_, identity)}) {
    if (!unusable.empty()) {
      context_->stop_unusable(unusable);
      return context_->refusals.Refuse(
          grpc::Status(grpc::StatusCode::FAILED_PRECONDITION, unusable));
    }
  }
  hooks_.on_peer_seen(raft::NodeId(identity.sender_id()), identity.sender_peer_address(),
                      /*caller=*/"");
  return grpc::Status::OK;
}

template <typename Stream, typename Frame>
grpc::Status PeerService::OnOpening(Stream* stream, const Frame& frame, raft::NodeId* from,
                                    std::map<raft::NodeId, Stream*>* streams) {
  if (!frame.has_opening()) {
    return NoOpening();
  }
  if (const grpc::Status status = CheckOpening(stream->call(), frame.opening()); !status.ok()) {
    return status;
  }
  const raft::NodeId sender(frame.opening().sender_id());
  // A peer that opens a new stream has given up the old one; what is still on its way there must
  // not be taken.
  if (const auto old = streams->find(sender); old != streams->end()) {
    Stream* const replaced = old->second;
    streams->erase(old);
    replaced->Abandon(grpc::Status(grpc::StatusCode::ABORTED, "the peer opened another stream"));
  }
  *from = sender;
  stream->CountIn(&context_->traffic[sender]);
  streams->emplace(sender, stream);
  return grpc::Status::OK;
}

grpc::Status PeerService::OnAppendFrame(AppendStream* stream, raft::NodeId* from,
                                        peer::v1::AppendEntriesRequest frame) {
  if (*from == raft::kNobody) {
    return OnOpening(stream, frame, from, &append_streams_);
  }
  if (frame.has_opening()) {
    return context_->RefuseContent(*from, SecondOpening());
  }
  const raft::Term leader_term(frame.term());
  const raft::ClusterMillis cluster_time(frame.cluster_time_ms());
  auto envelopes = wire::FromProto(std::move(frame), *from, context_->self_id());
  if (!envelopes.ok()) {
    return context_->RefuseContent(*from, envelopes.status());
  }
  if (envelopes->empty()) {
    return context_->RefuseContent(*from, absl::InvalidArgumentError("a frame without a message"));
  }
  for (raft::Envelope& envelope : *envelopes) {
    absl::Status taken = CheckPayloads(*context_, envelope.message);
    if (taken.ok()) {
      taken = context_->driver->Take(std::move(envelope));
    }
    if (!taken.ok()) {
      return context_->RefuseContent(*from, taken);
    }
  }
  // Only now: a clock is set by nobody whose words are refused.
  context_->driver->ObserveClusterTime(leader_term, cluster_time);
  return grpc::Status::OK;
}

grpc::Status PeerService::OnForwardFrame(ForwardStream* stream, raft::NodeId* from,
                                         peer::v1::ForwardRequest frame) {
  if (*from == raft::kNobody) {
    return OnOpening(stream, frame, from, &forward_streams_);
  }
  if (frame.has_opening()) {
    return context_->RefuseContent(*from, SecondOpening());
  }
  auto request = wire::FromProto(std::move(frame));
  if (!request.ok()) {
    return context_->RefuseContent(*from, request.status());
  }
  // What is in the log must be applied by every member, so nothing broken may get there.
  log::v1::Command command;
  for (const raft::Proposal& proposal : request->proposals) {
    if (!command.ParseFromString(proposal.command)) {
      return context_->RefuseContent(
          *from, absl::InvalidArgumentError(
                     absl::StrCat("proposal ", proposal.sequence, " holds no command")));
    }
    if (const absl::Status status = kv::CheckCommand(command); !status.ok()) {
      return context_->RefuseContent(*from, status);
    }
  }
  context_->driver->OnForwardRequest(*from, *std::move(request));
  return grpc::Status::OK;
}

void PeerService::OnHello(HelloCall* call, const peer::v1::HelloRequest& request) {
  if (const grpc::Status status = context_->CheckCertificate(call->call(), request.name());
      !status.ok()) {
    call->Refuse(status);
    return;
  }
  for (const kv::MemberEntry& member : context_->directory->Members()) {
    if (member.name == request.name() && member.data_id == request.data_id()) {
      hooks_.on_peer_seen(raft::NodeId(member.id), request.peer_address(), call->caller());
    }
  }
  call->Answer(hooks_.on_hello(request));
}

void PeerService::OnVoteRequest(VoteCall* call, const peer::v1::RequestVoteRequest& request) {
  if (grpc::Status status = CheckCaller(call->call(), request.identity()); !status.ok()) {
    call->Refuse(status);
    return;
  }
  const raft::NodeId sender(request.identity().sender_id());
  auto envelope = wire::FromProto(request, sender, context_->self_id());
  if (!envelope.ok()) {
    call->Refuse(context_->RefuseContent(sender, envelope.status()));
    return;
  }
  if (absl::Status taken = context_->driver->Take(*std::move(envelope)); !taken.ok()) {
    call->Refuse(context_->RefuseContent(sender, taken));
    return;
  }
  hooks_.on_peer_seen(sender, request.identity().sender_peer_address(), call->caller());
  std::deque<VoteCall*>& open = votes_[sender];
  if (open.size() >= kPendingVotesMax) {
    open.front()->Refuse(grpc::Status(grpc::StatusCode::RESOURCE_EXHAUSTED, "too many open votes"));
    open.pop_front();
  }
  open.push_back(call);
}

void PeerService::OnTimeoutNow(TimeoutNowCall* call, const peer::v1::TimeoutNowRequest& request) {
  if (grpc::Status status = CheckIdentity(*context_, request.identity()); !status.ok()) {
    call->Refuse(context_->refusals.Refuse(status));
    return;
  }
  const raft::NodeId sender(request.identity().sender_id());
  auto envelope = wire::FromProto(request, sender, context_->self_id());
  absl::Status taken = envelope.status();
  if (taken.ok()) {
    taken = context_->driver->Take(*std::move(envelope));
  }
  if (taken.ok()) {
    call->Answer({});
  } else {
    call->Refuse(context_->RefuseContent(sender, taken));
  }
}

void PeerService::OnTransfer(TransferCall* call,
                             const peer::v1::TransferLeadershipRequest& request) {
  if (grpc::Status status = CheckIdentity(*context_, request.identity()); !status.ok()) {
    call->Refuse(context_->refusals.Refuse(status));
    return;
  }
  context_->driver->TransferLeadership(raft::NodeId(request.target_id()),
                                       [call](const absl::Status& status) {
                                         if (status.ok()) {
                                           call->Answer({});
                                         } else {
                                           call->Refuse(ToPeerStatus(status));
                                         }
                                       });
}

void PeerService::OnChange(ChangeCall* call, const peer::v1::ChangeMembersRequest& request) {
  const bool by_member = request.has_identity();
  grpc::Status status;
  if (by_member) {
    status = CheckCaller(call->call(), request.identity());
  } else if (request.has_add()) {
    status = context_->CheckCertificate(call->call(), request.add().name());
  } else {
    status = context_->refusals.Refuse(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT,
                                                    "who is no member may only ask to be added"));
  }
  if (!status.ok()) {
    call->Refuse(status);
    return;
  }
  hooks_.on_change(request, /*may_forward=*/!by_member, [call](absl::StatusOr<uint64_t> member_id) {
    peer::v1::ChangeMembersResponse response;
    if (member_id.ok()) {
      response.set_member_id(*member_id);
    } else {
      *response.mutable_error() = ToRpcStatus(member_id.status());
    }
    call->Answer(response);
  });
}

void PeerService::SendVoteReply(const raft::Envelope& envelope) {
  const peer::v1::RequestVoteResponse response = wire::ToVoteResponseProto(envelope);
  std::deque<VoteCall*>& open = votes_[envelope.to];
  const auto call = std::find_if(open.rbegin(), open.rend(), [&](const VoteCall* candidate) {
    return candidate->pre_vote() == response.pre_vote();
  });
  if (call != open.rend()) {
    (*call)->Answer(response);
    open.erase(std::next(call).base());
  }
}

void PeerService::Tick() {
  snapshots_->Tick();
  const MonotonicNanos oldest = context_->clock->Now() - context_->election_timeout;
  for (auto& [peer, open] : votes_) {
    while (!open.empty() && open.front()->arrived_at() < oldest) {
      open.front()->Refuse(grpc::Status(grpc::StatusCode::UNAVAILABLE, "no answer to this vote"));
      open.pop_front();
    }
  }
}

void PeerService::SendAppendReply(const raft::Envelope& envelope) {
  const auto found = append_streams_.find(envelope.to);
  if (found == append_streams_.end()) {
    return;
  }
  AppendStream* const stream = found->second;
  peer::v1::AppendEntriesResponse* const frame =
      stream->Gather(AppendStream::Order::kUrgent, raft::Entry::kOverheadBytes,
                     [&envelope](const peer::v1::AppendEntriesResponse& last) {
                       return last.term() == envelope.term.value();
                     });
  frame->set_term(envelope.term.value());
  wire::AppendToFrame(envelope, frame);
  stream->Flush();
}

void PeerService::SendForwardReply(raft::NodeId origin, raft::ForwardReply reply) {
  const auto found = forward_streams_.find(origin);
  if (found == forward_streams_.end()) {
    return;
  }
  const uint64_t bytes =
      raft::Entry::kOverheadBytes * (reply.refused_proposals.size() + reply.reads.size() + 1);
  *found->second->Gather(ForwardStream::Order::kUrgent, bytes,
                         [](const peer::v1::ForwardResponse&) { return false; }) =
      wire::ToProto(reply);
  found->second->Flush();
}

void PeerService::Shutdown() {
  for (const auto& [peer, stream] : std::exchange(append_streams_, {})) {
    stream->Abandon(kStopping);
  }
  for (const auto& [peer, stream] : std::exchange(forward_streams_, {})) {
    stream->Abandon(kStopping);
  }
  for (auto& [peer, open] : votes_) {
    for (VoteCall* call : open) {
      call->Refuse(kStopping);
    }
    open.clear();
  }
  snapshots_->Shutdown();
}

}  // namespace raftkv::server
