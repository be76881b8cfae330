// PeerLink is this member's way to one other member: a channel with the vote calls, the append
// stream while this member leads, and the forward stream while the other one does.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>

#include <memory>
#include <set>
#include <string>

#include "raft/core/message.h"
#include "raft/runtime/transport.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "raftkv/peer/v1/forward.pb.h"
#include "raftkv/peer/v1/raft.grpc.pb.h"
#include "server/node.h"
#include "server/peer_stream.h"

namespace raftkv::server {

// A channel to a peer's address, with connections of its own and quick to notice that the other
// side is gone or back.
std::shared_ptr<grpc::Channel> MakePeerChannel(const std::string& address);

// Confined to the loop.
class PeerLink final {
 public:
  PeerLink(Node* node, const log::v1::ConfiguredMember& peer, const std::string& address);

  ~PeerLink();
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  const std::string& address() const { return address_; }

  // The answer, if one comes, is given to the driver.
  void RequestVote(const raft::Envelope& envelope);
  // Opens the stream when there is none. While that is not possible messages are dropped, and
  // reported as a lost stream once one is open again.
  void SendAppend(const raft::Envelope& envelope, raft::ClusterMillis cluster_time);
  // False while the forward stream has much to send already.
  bool HasForwardRoom() const;
  // False when no stream is open; one is being opened then, and the loop turns when it is.
  [[nodiscard]] bool Forward(raft::ForwardRequest request);

  // Lets the driver know that the streams of the link before this one are gone.
  void MarkStreamsLost() { append_stream_lost_ = forward_stream_lost_ = true; }
  // Whether a stream broke, or dropped messages, since the last call.
  bool TakeAppendStreamLost();
  bool TakeForwardStreamLost();

  void OnPeerSeen();
  void Shutdown();

 private:
  using AppendStream =
      OutgoingPeerStream<peer::v1::AppendEntriesResponse, peer::v1::AppendEntriesRequest>;
  using ForwardStream = OutgoingPeerStream<peer::v1::ForwardResponse, peer::v1::ForwardRequest>;

  class VoteCall;

  peer::v1::PeerIdentity Identity() const;
  BulkWindow NewBulkWindow() const;
  void OnVoteAnswer(VoteCall* call, const grpc::Status& status,
                    const peer::v1::RequestVoteResponse& response);
  void OpenAppendStream();
  void OpenForwardStream();
  void GatherForward(raft::ForwardRequest request, uint64_t bytes);
  grpc::Status OnAppendFrame(const peer::v1::AppendEntriesResponse& frame);
  grpc::Status OnForwardFrame(const peer::v1::ForwardResponse& frame);
  void OnReachable();
  void OnUnreachable(const grpc::Status& status);

  Node* const node_;
  const raft::NodeId peer_;
  const std::string name_;
  const std::string address_;
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub generic_stub_;
  const std::unique_ptr<peer::v1::RaftService::Stub> raft_stub_;

  // Streams that have ended outlive the link until their last event, which must not reach it then.
  const std::shared_ptr<PeerLink*> self_ = std::make_shared<PeerLink*>(this);
  std::set<VoteCall*> vote_calls_;
  AppendStream* append_stream_ = nullptr;
  ForwardStream* forward_stream_ = nullptr;
  bool append_stream_lost_ = false;
  bool forward_stream_lost_ = false;
  // A stream that failed is not opened again before this.
  MonotonicNanos next_append_attempt_ = 0;
  MonotonicNanos next_forward_attempt_ = 0;
  // What was logged last: OK, or how the stream ended.
  grpc::StatusCode logged_ = grpc::StatusCode::OK;
  bool shut_down_ = false;
};

}  // namespace raftkv::server
