#include "server/peer/peer_link.h"

#include <glog/logging.h>

#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "kv/errors.h"
#include "kv/member_list.h"
#include "raft/wire/convert.h"
#include "raft/wire/identity.h"
#include "server/limits.h"
#include "server/log_text.h"
#include "server/peer/founding.h"
#include "server/peer/snapshot_call.h"

namespace raftkv::server {
namespace {

constexpr char kAppendEntries[] = "/raftkv.peer.v1.RaftService/AppendEntries";
constexpr char kForward[] = "/raftkv.peer.v1.ForwardService/Forward";
constexpr MonotonicNanos kStreamRetryNanos = 100 * kNanosPerMilli;
constexpr size_t kLoggedReasonsMax = 8;
constexpr MonotonicNanos kHelloInterval = kNanosPerSecond;
// In ticks, so that a process that was frozen does not take its own sleep for the peer's silence.
constexpr uint64_t kSilentTicksMax = 3 * kNanosPerSecond / EventLoop::kTick;

uint64_t SizeOf(const raft::Envelope& envelope) {
  uint64_t bytes = raft::Entry::kOverheadBytes;
  if (const auto* append = std::get_if<raft::AppendRequest>(&envelope.message)) {
    for (const raft::Entry& entry : append->entries) {
      bytes += entry.size_bytes();
    }
  }
  return bytes;
}

}  // namespace

PeerLink::~PeerLink() { Shutdown(); }

PeerLink::PeerLink(PeerContext* context, const kv::MemberEntry& peer)
    : context_(context),
      peer_(peer.id),
      name_(peer.name),
      leader_calls_(context->loop),
      connection_(
          context->clock,
          {.addresses = [context, id = peer_] { return context->directory->AddressesOf(id); },
           .on_replaced = [this] { OnReplaced(); },
           .credentials = context->CredentialsFor(peer.name),
           .on_failed = [this] { OnConnectionRefused(); }}) {}

void PeerLink::Tick() {
  if (shut_down_) {
    return;
  }
  connection_.Tick();
  if (snapshot_ != nullptr) {
    snapshot_connection_->Tick();
    snapshot_->Tick();
  }
  const MonotonicNanos now = context_->clock->Now();
  const MonotonicNanos patience = context_->election_timeout;
  while (!votes_.empty() && now - votes_.front().asked_at >= patience) {
    votes_.front().call->Abandon();
    votes_.pop_front();
  }
  leader_calls_.GiveUp(now);
  if (unreachable_since() != 0) {
    return;
  }
  reason_.clear();
  logged_reasons_.clear();
  if (hello_ == nullptr && now >= next_hello_) {
    next_hello_ = now + kHelloInterval;
    SayHello();
  } else if (hello_ != nullptr && ++silent_ticks_ >= kSilentTicksMax) {
    connection_.GiveUp(absl::StrCat(connection_.address(), " does not answer any more"));
  }
}

void PeerLink::OnReplaced() {
  const grpc::Status status(grpc::StatusCode::UNAVAILABLE, connection_.problem());
  if (append_stream_ != nullptr) {
    OnUnreachable(status);
  }
  GiveUpCalls();
  GiveUpStreams(status);
  generic_stub_ = grpc::GenericStub(connection_.channel());
  raft_stub_ = peer::v1::RaftService::NewStub(connection_.channel());
  forward_stub_ = peer::v1::ForwardService::NewStub(connection_.channel());
  // Whoever answers there says at once who it is.
  next_hello_ = 0;
}

void PeerLink::OnConnectionRefused() {
  connection_refused_ = true;
  AskWhyNot();
}

void PeerLink::AskWhyNot() {
  // In plain text the only reasons are that nobody is there or nobody answers.
  if (context_->tls == nullptr || why_not_ != nullptr) {
    return;
  }
  const std::shared_ptr<grpc::Channel> channel = connection_.channel();
  const auto stub = peer::v1::RaftService::NewStub(channel);
  why_not_ = new HelloCall(
      [&](grpc::ClientContext* context) {
        return stub->AsyncHello(context, MakeHello(*context_, {}), context_->loop->queue());
      },
      [this, channel, address = connection_.address()](const grpc::Status& status,
                                                       const peer::v1::HelloResponse&) {
        why_not_ = nullptr;
        if (status.ok()) {
          return;
        }
        reason_ = PeerFailureText(status);
        if (logged_reasons_.size() < kLoggedReasonsMax &&
            logged_reasons_.insert(absl::StrCat(address, ": ", reason_)).second) {
          LOG(WARNING) << "cannot connect to member " << peer_ << " \"" << name_ << "\" at "
                       << address << ": " << reason_;
        }
      });
}

void PeerLink::GiveUpCalls() {
  for (const OpenVote& vote : std::exchange(votes_, {})) {
    vote.call->Abandon();
  }
  if (hello_ != nullptr) {
    std::exchange(hello_, nullptr)->Abandon();
  }
  if (timeout_now_ != nullptr) {
    std::exchange(timeout_now_, nullptr)->Abandon();
  }
  leader_calls_.GiveUp(kNever);
}

void PeerLink::GiveUpStreams(const grpc::Status& status) {
  if (append_stream_ != nullptr) {
    std::exchange(append_stream_, nullptr)->Abandon(status);
    append_stream_lost_ = true;
  }
  if (forward_stream_ != nullptr) {
    std::exchange(forward_stream_, nullptr)->Abandon(status);
    forward_stream_lost_ = true;
  }
}

peer::v1::PeerIdentity PeerLink::Identity() const {
  peer::v1::PeerIdentity identity =
      wire::MakeIdentity(*context_->directory->configuration(), context_->self_id(), peer_);
  // The directory's own, not the record's: it is what the callee checks.
  identity.set_sender_data_id(context_->self().data_id);
  identity.set_sender_name(context_->self().name);
  identity.set_sender_peer_address(context_->self().peer_address);
  identity.set_cluster_version(context_->directory->cluster_version());
  const raft::RaftCore& core = context_->driver->core();
  if (const raft::FollowerProgress* progress = core.progress(peer_); progress != nullptr) {
    identity.set_acknowledged_index(progress->match_index().value());
    identity.set_acknowledged_in_term(core.term().value());
  }
  return identity;
}

BulkWindow PeerLink::NewBulkWindow() const {
  return BulkWindow(context_->clock, context_->election_timeout);
}

void PeerLink::RequestVote(const raft::Envelope& envelope) {
  if (shut_down_ || raft_stub_ == nullptr) {
    return;
  }
  peer::v1::RequestVoteRequest request = wire::ToVoteRequestProto(envelope);
  *request.mutable_identity() = Identity();
  votes_.push_back({.call = nullptr, .asked_at = context_->clock->Now()});
  const auto vote = std::prev(votes_.end());
  vote->call = new VoteCall(
      [&](grpc::ClientContext* context) {
        return raft_stub_->AsyncRequestVote(context, request, context_->loop->queue());
      },
      [this, vote](const grpc::Status& status, const peer::v1::RequestVoteResponse& response) {
        votes_.erase(vote);
        OnVoteAnswer(status, response);
      });
}

void PeerLink::OnVoteAnswer(const grpc::Status& status,
                            const peer::v1::RequestVoteResponse& response) {
  if (!status.ok()) {
    OnRefused(connection_.channel().get(), status);
    return;
  }
  auto envelope = wire::FromProto(response, peer_, context_->self_id());
  absl::Status taken = envelope.status();
  if (taken.ok()) {
    taken = context_->driver->Take(*std::move(envelope));
  }
  if (!taken.ok()) {
    context_->RefuseContent(peer_, taken);
  }
}

void PeerLink::SendTimeoutNow(const raft::Envelope& envelope) {
  if (shut_down_ || raft_stub_ == nullptr || timeout_now_ != nullptr) {
    return;  // The leader asks again with each heartbeat.
  }
  peer::v1::TimeoutNowRequest request = wire::ToTimeoutNowProto(envelope);
  *request.mutable_identity() = Identity();
  timeout_now_ = new TimeoutNowCall(
      [&](grpc::ClientContext* context) {
        return raft_stub_->AsyncTimeoutNow(context, request, context_->loop->queue());
      },
      [this](const grpc::Status& status, const peer::v1::TimeoutNowResponse&) {
        timeout_now_ = nullptr;
        if (!status.ok()) {
          LOG(WARNING) << "member " << peer_ << " \"" << name_
                       << "\" does not take leadership over: " << status.error_message();
        }
      });
}

void PeerLink::TransferLeadership(raft::NodeId target, MonotonicNanos deadline,
                                  raft::TransferCallback done) {
  if (shut_down_ || forward_stub_ == nullptr) {
    done(absl::UnavailableError(absl::StrCat("member ", peer_.value(), " is not connected")));
    return;
  }
  peer::v1::TransferLeadershipRequest request;
  *request.mutable_identity() = Identity();
  request.set_target_id(target.value());
  leader_calls_.TransferLeadership(forward_stub_.get(), request, deadline, std::move(done));
}

void PeerLink::ChangeMembers(peer::v1::ChangeMembersRequest change, MonotonicNanos deadline,
                             kv::Membership::Done done) {
  if (shut_down_ || forward_stub_ == nullptr) {
    done(kv::NoLeaderError());
    return;
  }
  *change.mutable_identity() = Identity();
  leader_calls_.ChangeMembers(forward_stub_.get(), change, deadline, std::move(done));
}

bool PeerLink::ShouldInvite(const peer::v1::HelloResponse& response) const {
  // As of what is applied, which no other leader takes back.
  const log::v1::ConfiguredMember* const member =
      kv::FindMember(*context_->directory->configuration(), peer_.value());
  return response.awaits_invitation() && member != nullptr &&
         member->data_id() == response.data_id();
}

void PeerLink::SayHello() {
  silent_ticks_ = 0;
  peer::v1::HelloRequest request = MakeHello(*context_, {});
  if (invites_) {
    *request.mutable_invitation() = *context_->directory->configuration();
  }
  hello_ = new HelloCall(
      [&](grpc::ClientContext* context) {
        return raft_stub_->AsyncHello(context, request, context_->loop->queue());
      },
      [this, asked_at = context_->clock->Now()](const grpc::Status& status,
                                                const peer::v1::HelloResponse& response) {
        hello_ = nullptr;
        if (status.ok()) {
          round_trip_nanos_.Observe(context_->clock->Now() - asked_at);
        }
        OnHelloAnswer(status, response);
      });
}

void PeerLink::OnHelloAnswer(const grpc::Status& status, const peer::v1::HelloResponse& response) {
  if (status.ok() && response.name() != name_) {
    connection_.GiveUp(absl::StrCat(connection_.address(), " is member \"", response.name(), "\""));
    return;
  }
  const log::v1::ClusterConfiguration& own = *context_->directory->configuration();
  if (status.ok() && ShouldInvite(response)) {
    next_hello_ = invites_ ? next_hello_ : 0;
    invites_ = true;
    return;
  }
  invites_ = false;
  if (!status.ok() || response.configuration().cluster_id() != own.cluster_id()) {
    return;
  }
  if (kv::WasRemoved(response.configuration(), context_->self().id)) {
    context_->on_removed();
    return;
  }
  for (const peer::v1::Founder& seen : response.seen_members()) {
    for (const log::v1::ConfiguredMember& member : own.members()) {
      if (member.name() == seen.name()) {
        context_->directory->addresses().OnHeard(seen.name(), seen.peer_address());
      }
    }
  }
}

void PeerLink::SendAppend(const raft::Envelope& envelope, raft::ClusterMillis cluster_time) {
  if (append_stream_ == nullptr) {
    OpenAppendStream();
  }
  if (append_stream_ == nullptr) {
    append_stream_lost_ = true;
    return;
  }
  // Appends build on each other.
  const auto order = std::holds_alternative<raft::AppendRequest>(envelope.message)
                         ? AppendStream::Order::kInTurn
                         : AppendStream::Order::kUrgent;
  peer::v1::AppendEntriesRequest* const frame = append_stream_->Gather(
      order, SizeOf(envelope), [&envelope](const peer::v1::AppendEntriesRequest& last) {
        return last.term() == envelope.term.value();
      });
  frame->set_term(envelope.term.value());
  frame->set_cluster_time_ms(cluster_time.value());
  wire::AppendToFrame(envelope, frame);
  append_stream_->Flush();
}

void PeerLink::OpenAppendStream() {
  const MonotonicNanos now = context_->clock->Now();
  if (shut_down_ || raft_stub_ == nullptr || now < next_append_attempt_) {
    return;
  }
  peer::v1::AppendEntriesRequest opening;
  *opening.mutable_opening() = Identity();
  append_stream_ = new AppendStream(
      &generic_stub_, kAppendEntries, context_->loop->queue(), NewBulkWindow(), std::move(opening),
      {.on_frame = [this](peer::v1::AppendEntriesResponse frame) { return OnAppendFrame(frame); },
       .on_malformed = nullptr,
       .on_part = nullptr,
       .on_part_taken =
           [this] {
             silent_ticks_ = 0;
             context_->driver->OnPartTaken(peer_);
           },
       .on_open = nullptr,
       .on_end =
           [this] {
             append_stream_ = nullptr;
             append_stream_lost_ = true;
             next_append_attempt_ = context_->clock->Now() + kStreamRetryNanos;
           },
       .on_status =
           [link = std::weak_ptr<PeerLink*>(self_),
            channel = connection_.channel().get()](const grpc::Status& status) {
             if (auto self = link.lock(); self != nullptr) {
               (*self)->OnUnreachable(status);
               (*self)->OnRefused(channel, status);
             }
           }});
  append_stream_->CountIn(&context_->traffic[peer_]);
}

grpc::Status PeerLink::OnAppendFrame(const peer::v1::AppendEntriesResponse& frame) {
  silent_ticks_ = 0;
  OnReachable();
  auto envelopes = wire::FromProto(frame, peer_, context_->self_id());
  if (!envelopes.ok()) {
    return context_->RefuseContent(peer_, envelopes.status());
  }
  for (raft::Envelope& envelope : *envelopes) {
    if (absl::Status taken = context_->driver->Take(std::move(envelope)); !taken.ok()) {
      return context_->RefuseContent(peer_, taken);
    }
  }
  return grpc::Status::OK;
}

bool PeerLink::HasForwardRoom() const {
  return forward_stream_ == nullptr || forward_stream_->queued_bytes() < kPeerForwardQueueBytesMax;
}

bool PeerLink::Forward(raft::ForwardRequest request) {
  if (forward_stream_ == nullptr) {
    OpenForwardStream();
  }
  if (forward_stream_ == nullptr || !forward_stream_->open()) {
    return false;
  }
  uint64_t bytes = 0;
  for (const raft::Proposal& proposal : request.proposals) {
    bytes += proposal.command.size() + raft::Entry::kOverheadBytes;
  }
  if (bytes > kPeerFrameBytesMax && !request.reads.empty()) {
    // Reads do not wait for bulk.
    GatherForward(
        {.term = request.term, .proposals = {}, .reads = std::exchange(request.reads, {})},
        /*bytes=*/0);
  }
  GatherForward(std::move(request), bytes);
  forward_stream_->Flush();
  // A stream that was full has ended, and this frame with it.
  return forward_stream_ != nullptr;
}

void PeerLink::GatherForward(raft::ForwardRequest request, uint64_t bytes) {
  *forward_stream_->Gather(ForwardStream::Order::kUrgent, bytes,
                           [](const peer::v1::ForwardRequest&) { return false; }) =
      wire::ToProto(std::move(request));
}

void PeerLink::OpenForwardStream() {
  const MonotonicNanos now = context_->clock->Now();
  if (shut_down_ || raft_stub_ == nullptr || now < next_forward_attempt_) {
    return;
  }
  peer::v1::ForwardRequest opening;
  *opening.mutable_opening() = Identity();
  forward_stream_ = new ForwardStream(
      &generic_stub_, kForward, context_->loop->queue(), NewBulkWindow(), std::move(opening),
      {.on_frame = [this](peer::v1::ForwardResponse frame) { return OnForwardFrame(frame); },
       .on_malformed = nullptr,
       .on_part = nullptr,
       .on_part_taken = [this] { silent_ticks_ = 0; },
       .on_open = nullptr,
       .on_end =
           [this] {
             forward_stream_ = nullptr;
             forward_stream_lost_ = true;
             next_forward_attempt_ = context_->clock->Now() + kStreamRetryNanos;
           },
       .on_status =
           [link = std::weak_ptr<PeerLink*>(self_),
            channel = connection_.channel().get()](const grpc::Status& status) {
             if (auto self = link.lock(); self != nullptr) {
               (*self)->OnRefused(channel, status);
             }
           }});
  forward_stream_->CountIn(&context_->traffic[peer_]);
}

grpc::Status PeerLink::OnForwardFrame(const peer::v1::ForwardResponse& frame) {
  silent_ticks_ = 0;
  auto reply = wire::FromProto(frame);
  if (!reply.ok()) {
    return context_->RefuseContent(peer_, reply.status());
  }
  context_->driver->OnForwardReply(peer_, *std::move(reply));
  return grpc::Status::OK;
}

void PeerLink::SendSnapshot(raft::Term term, std::unique_ptr<raft::SnapshotReader> snapshot) {
  CHECK(snapshot_ == nullptr) << "two snapshots to member " << peer_;
  snapshot_connection_ = std::make_unique<PeerChannel>(
      context_->clock,
      PeerChannel::Hooks{// Where the peer is known to answer.
                         .addresses =
                             [this] {
                               return unreachable_since() != 0
                                          ? std::vector<std::string>()
                                          : std::vector<std::string>{connection_.ip_port()};
                             },
                         .on_replaced =
                             [this] {
                               snapshot_->OnDisconnected(snapshot_connection_->problem());
                               snapshot_stub_ = grpc::GenericStub(snapshot_connection_->channel());
                             },
                         .credentials = context_->CredentialsFor(name_)});
  snapshot_ = std::make_unique<SnapshotSender>(
      context_->clock, context_->snapshots, absl::StrCat(peer_.value(), " \"", name_, "\""), term,
      std::move(snapshot),
      [this](SnapshotSender::StreamOwner* owner, const peer::v1::SnapshotOpening& opening) {
        return OpenSnapshotStream(owner, opening);
      });
}

SnapshotSender::Stream* PeerLink::OpenSnapshotStream(SnapshotSender::StreamOwner* owner,
                                                     const peer::v1::SnapshotOpening& opening) {
  if (snapshot_connection_->unreachable_since() != 0) {
    return nullptr;
  }
  peer::v1::InstallSnapshotRequest frame;
  *frame.mutable_opening() = opening;
  *frame.mutable_opening()->mutable_identity() = Identity();
  return new SnapshotCall(&snapshot_stub_, context_->loop->queue(), owner, frame);
}

PeerFigures PeerLink::Figures() const {
  return {.id = peer_,
          .name = name_,
          .is_connected = unreachable_since() == 0,
          .traffic = context_->traffic[peer_],
          .round_trip_nanos = round_trip_nanos_,
          .snapshot_under_way = snapshot_ != nullptr,
          .snapshot_sent_bytes =
              ended_snapshots_bytes_ + (snapshot_ == nullptr ? 0 : snapshot_->sent_bytes())};
}

void PeerLink::StopSnapshot() {
  ended_snapshots_bytes_ += snapshot_ == nullptr ? 0 : snapshot_->sent_bytes();
  // Its stream first, and then the connection.
  snapshot_.reset();
  snapshot_connection_.reset();
}

std::optional<absl::Status> PeerLink::TakeSnapshotResult() {
  if (snapshot_ == nullptr || !snapshot_->result().has_value()) {
    return std::nullopt;
  }
  std::optional<absl::Status> result = snapshot_->result();
  StopSnapshot();
  return result;
}

bool PeerLink::TakeAppendStreamLost() { return std::exchange(append_stream_lost_, false); }
bool PeerLink::TakeForwardStreamLost() { return std::exchange(forward_stream_lost_, false); }
bool PeerLink::TakeConnectionRefused() { return std::exchange(connection_refused_, false); }

void PeerLink::OnPeerSeen(const std::string& ip_port) {
  if (!ip_port.empty()) {
    connection_.OnSeenAt(ip_port);
  }
}

std::string PeerLink::UnreachableText() const {
  const MonotonicNanos gone = context_->clock->Now() - unreachable_since();
  return absl::StrCat("member ", peer_.value(), " \"", name_, "\" for ", gone / kNanosPerSecond,
                      " s (", connection_.problem(), reason_.empty() ? "" : ": ", reason_, ")");
}

void PeerLink::OnRefused(const grpc::Channel* channel, const grpc::Status& status) {
  // Another member of this cluster, another cluster's, or no member at all.
  const bool wrong_peer = status.error_code() == grpc::StatusCode::FAILED_PRECONDITION ||
                          status.error_code() == grpc::StatusCode::UNIMPLEMENTED;
  if (wrong_peer && channel == connection_.channel().get()) {
    connection_.GiveUp(absl::StrCat(connection_.address(), ": ", PeerFailureText(status)));
  }
}

void PeerLink::OnReachable() {
  if (logged_ != grpc::StatusCode::OK) {
    logged_ = grpc::StatusCode::OK;
    LOG(INFO) << "member " << peer_ << " \"" << name_ << "\" at " << connection_.address()
              << " answers again";
  }
}

void PeerLink::OnUnreachable(const grpc::Status& status) {
  // A member that refuses is another matter than one that is away.
  if (logged_ != status.error_code()) {
    logged_ = status.error_code();
    LOG(WARNING) << "member " << peer_ << " \"" << name_ << "\" at " << connection_.address()
                 << " does not take entries: " << PeerFailureText(status);
  }
}

void PeerLink::Shutdown() {
  shut_down_ = true;
  StopSnapshot();
  GiveUpCalls();
  if (why_not_ != nullptr) {
    std::exchange(why_not_, nullptr)->Abandon();
  }
  GiveUpStreams(grpc::Status(grpc::StatusCode::UNAVAILABLE, "the member is stopping"));
}

}  // namespace raftkv::server
