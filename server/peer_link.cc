#include "server/peer_link.h"

#include <glog/logging.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/channel_arguments.h>

#include <chrono>
#include <utility>
#include <vector>

#include "raft/wire/convert.h"
#include "raft/wire/identity.h"
#include "server/limits.h"
#include "server/log_text.h"

namespace raftkv::server {
namespace {

constexpr char kAppendEntries[] = "/raftkv.peer.v1.RaftService/AppendEntries";
constexpr char kForward[] = "/raftkv.peer.v1.ForwardService/Forward";
constexpr MonotonicNanos kStreamRetryNanos = 100 * kNanosPerMilli;

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

// Deletes itself.
class PeerLink::VoteCall final : public EventTag {
 public:
  VoteCall(PeerLink* link, const peer::v1::RequestVoteRequest& request) : link_(link) {
    const Node& node = *link->node_;
    context_.set_deadline(std::chrono::system_clock::now() +
                          std::chrono::milliseconds(node.options->election_timeout_ms));
    call_ = link->raft_stub_->AsyncRequestVote(&context_, request, node.loop->queue());
    call_->Finish(&response_, &status_, this);
  }

  void OnEvent(bool /*ok*/) override {
    if (link_ != nullptr) {
      link_->OnVoteAnswer(this, status_, response_);
    }
    delete this;
  }

  // The link goes away before the answer.
  void Abandon() {
    link_ = nullptr;
    context_.TryCancel();
  }

 private:
  PeerLink* link_;
  grpc::ClientContext context_;
  peer::v1::RequestVoteResponse response_;
  grpc::Status status_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<peer::v1::RequestVoteResponse>> call_;
};

std::shared_ptr<grpc::Channel> MakePeerChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Also how long one attempt to connect may take.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 500);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // A peer that is cut off is noticed within about 4 s, and its connection made anew once it is
  // back.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 2000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 2000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 4 * static_cast<int>(kMiB));
  arguments.SetMaxReceiveMessageSize(kPeerMessageBytesMax);
  arguments.SetMaxSendMessageSize(kPeerMessageBytesMax);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

PeerLink::~PeerLink() { Shutdown(); }

PeerLink::PeerLink(Node* node, const log::v1::ConfiguredMember& peer, const std::string& address)
    : node_(node),
      peer_(peer.id()),
      name_(peer.name()),
      address_(address),
      channel_(MakePeerChannel(address_)),
      generic_stub_(channel_),
      raft_stub_(peer::v1::RaftService::NewStub(channel_)) {}

peer::v1::PeerIdentity PeerLink::Identity() const {
  peer::v1::PeerIdentity identity =
      wire::MakeIdentity(*node_->configuration(), raft::NodeId(node_->member_id), peer_);
  // The directory's own, not the record's: it is what the callee checks.
  identity.set_sender_data_id(node_->storage->data_id());
  identity.set_sender_peer_address(node_->peer_address);
  const raft::RaftCore& core = node_->driver->core();
  if (const raft::FollowerProgress* progress = core.progress(peer_); progress != nullptr) {
    identity.set_acknowledged_index(progress->match_index().value());
    identity.set_acknowledged_in_term(core.term().value());
  }
  return identity;
}

BulkWindow PeerLink::NewBulkWindow() const {
  return BulkWindow(node_->clock, node_->options->election_timeout_ms * kNanosPerMilli);
}

void PeerLink::RequestVote(const raft::Envelope& envelope) {
  peer::v1::RequestVoteRequest request = wire::ToVoteRequestProto(envelope);
  *request.mutable_identity() = Identity();
  vote_calls_.insert(new VoteCall(this, request));
}

void PeerLink::OnVoteAnswer(VoteCall* call, const grpc::Status& status,
                            const peer::v1::RequestVoteResponse& response) {
  vote_calls_.erase(call);
  if (!status.ok()) {
    return;
  }
  auto envelope = wire::FromProto(response, peer_, raft::NodeId(node_->member_id));
  absl::Status taken = envelope.status();
  if (taken.ok()) {
    taken = node_->driver->core().CheckMessage(*envelope);
  }
  if (!taken.ok()) {
    node_->RefuseContent(peer_, taken);
    return;
  }
  node_->driver->Step(*std::move(envelope));
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
  const MonotonicNanos now = node_->clock->Now();
  if (shut_down_ || now < next_append_attempt_) {
    return;
  }
  peer::v1::AppendEntriesRequest opening;
  *opening.mutable_opening() = Identity();
  append_stream_ = new AppendStream(
      &generic_stub_, kAppendEntries, node_->loop->queue(), NewBulkWindow(), std::move(opening),
      {.on_frame = [this](peer::v1::AppendEntriesResponse frame) { return OnAppendFrame(frame); },
       .on_malformed = nullptr,
       .on_part = nullptr,
       .on_part_taken = [this] { node_->driver->OnPartTaken(peer_); },
       .on_open = nullptr,
       .on_end =
           [this] {
             append_stream_ = nullptr;
             append_stream_lost_ = true;
             next_append_attempt_ = node_->clock->Now() + kStreamRetryNanos;
           },
       .on_status =
           [link = std::weak_ptr<PeerLink*>(self_)](const grpc::Status& status) {
             if (auto self = link.lock(); self != nullptr) {
               (*self)->OnUnreachable(status);
             }
           }});
}

grpc::Status PeerLink::OnAppendFrame(const peer::v1::AppendEntriesResponse& frame) {
  OnReachable();
  auto envelopes = wire::FromProto(frame, peer_, raft::NodeId(node_->member_id));
  if (!envelopes.ok()) {
    return node_->RefuseContent(peer_, envelopes.status());
  }
  for (raft::Envelope& envelope : *envelopes) {
    if (absl::Status status = node_->driver->core().CheckMessage(envelope); !status.ok()) {
      return node_->RefuseContent(peer_, status);
    }
    node_->driver->Step(std::move(envelope));
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
  const MonotonicNanos now = node_->clock->Now();
  if (shut_down_ || now < next_forward_attempt_) {
    return;
  }
  peer::v1::ForwardRequest opening;
  *opening.mutable_opening() = Identity();
  forward_stream_ = new ForwardStream(
      &generic_stub_, kForward, node_->loop->queue(), NewBulkWindow(), std::move(opening),
      {.on_frame = [this](peer::v1::ForwardResponse frame) { return OnForwardFrame(frame); },
       .on_malformed = nullptr,
       .on_part = nullptr,
       .on_part_taken = nullptr,
       .on_open = nullptr,
       .on_end =
           [this] {
             forward_stream_ = nullptr;
             forward_stream_lost_ = true;
             next_forward_attempt_ = node_->clock->Now() + kStreamRetryNanos;
           },
       .on_status = nullptr});
}

grpc::Status PeerLink::OnForwardFrame(const peer::v1::ForwardResponse& frame) {
  auto reply = wire::FromProto(frame);
  if (!reply.ok()) {
    return node_->RefuseContent(peer_, reply.status());
  }
  node_->driver->OnForwardReply(peer_, *std::move(reply));
  return grpc::Status::OK;
}

bool PeerLink::TakeAppendStreamLost() { return std::exchange(append_stream_lost_, false); }
bool PeerLink::TakeForwardStreamLost() { return std::exchange(forward_stream_lost_, false); }

void PeerLink::OnPeerSeen() {
  if (append_stream_ == nullptr && forward_stream_ == nullptr) {
    grpc::experimental::ChannelResetConnectionBackoff(channel_.get());
  }
}

void PeerLink::OnReachable() {
  if (logged_ != grpc::StatusCode::OK) {
    logged_ = grpc::StatusCode::OK;
    LOG(INFO) << "member " << peer_ << " \"" << name_ << "\" at " << address_ << " answers again";
  }
}

void PeerLink::OnUnreachable(const grpc::Status& status) {
  // A member that refuses is another matter than one that is away.
  if (logged_ != status.error_code()) {
    logged_ = status.error_code();
    LOG(WARNING) << "member " << peer_ << " \"" << name_ << "\" at " << address_
                 << " does not take entries: " << PeerFailureText(status);
  }
}

void PeerLink::Shutdown() {
  shut_down_ = true;
  for (VoteCall* call : std::exchange(vote_calls_, {})) {
    call->Abandon();
  }
  const grpc::Status status(grpc::StatusCode::UNAVAILABLE, "the member is stopping");
  if (append_stream_ != nullptr) {
    std::exchange(append_stream_, nullptr)->Abandon(status);
  }
  if (forward_stream_ != nullptr) {
    std::exchange(forward_stream_, nullptr)->Abandon(status);
  }
}

}  // namespace raftkv::server
