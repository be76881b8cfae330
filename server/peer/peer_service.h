// PeerService answers other members: Hello, votes, the leader's append stream and snapshots, and
// the requests that followers forward.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "kv/membership.h"
#include "raft/core/message.h"
#include "raft/runtime/transport.h"
#include "raftkv/peer/v1/forward.grpc.pb.h"
#include "raftkv/peer/v1/raft.grpc.pb.h"
#include "server/peer/incoming_snapshot_stream.h"
#include "server/peer/peer_context.h"
#include "server/peer/peer_stream.h"
#include "server/peer/snapshot_receiver.h"

namespace raftkv::server {

// Calls are announced on the loop's announcement queue and run on its main one.
// Confined to the loop.
class PeerService final {
 public:
  using RaftGrpcService = peer::v1::RaftService::WithAsyncMethod_Hello<
      peer::v1::RaftService::WithAsyncMethod_RequestVote<
          peer::v1::RaftService::WithAsyncMethod_TimeoutNow<
              peer::v1::RaftService::WithRawMethod_AppendEntries<
                  peer::v1::RaftService::WithRawMethod_InstallSnapshot<
                      peer::v1::RaftService::Service>>>>>;
  using ForwardGrpcService = peer::v1::ForwardService::WithRawMethod_Forward<
      peer::v1::ForwardService::WithAsyncMethod_TransferLeadership<
          peer::v1::ForwardService::WithAsyncMethod_ChangeMembers<
              peer::v1::ForwardService::Service>>>;

  struct Hooks {
    std::function<peer::v1::HelloResponse(const peer::v1::HelloRequest&)> on_hello;
    // A member of this cluster called, from the URI `caller` (gRPC's; empty: not known), and says
    // that it is reached at `address` (empty: it does not say).
    std::function<void(raft::NodeId peer, const std::string& address, const std::string& caller)>
        on_peer_seen;
    // Somebody asks for a change of members; `done` hears of its end (MemberChanges::Request).
    std::function<void(const peer::v1::ChangeMembersRequest& change, bool may_forward,
                       kv::Membership::Done done)>
        on_change;
  };

  explicit PeerService(PeerContext* context) : context_(context) {}

  RaftGrpcService* raft_service() { return &raft_service_; }
  ForwardGrpcService* forward_service() { return &forward_service_; }
  // Starts taking calls. REQUIRES: the server is started.
  void Start(Hooks hooks);
  // Gives up votes that the core did not answer, and snapshots that do not go on; called every
  // tick.
  void Tick();
  // Ends every stream.
  void Shutdown();

  // Whether `leader` has a stream here on which it appends.
  bool HasAppendStreamOf(raft::NodeId leader) const { return append_streams_.contains(leader); }
  // Answers the newest open vote call of the envelope's addressee and kind; dropped when there is
  // none. A reply says all by itself (thesis §3.4: its term), so any call may carry it, and nobody
  // may be left behind an older one that the core did not answer.
  void SendVoteReply(const raft::Envelope& envelope);
  // To the addressee's append stream; dropped when it has none.
  void SendAppendReply(const raft::Envelope& envelope);
  void SendForwardReply(raft::NodeId origin, raft::ForwardReply reply);

 private:
  class HelloCall;
  class VoteCall;
  class TimeoutNowCall;
  class TransferCall;
  class ChangeCall;
  using AppendStream =
      IncomingPeerStream<peer::v1::AppendEntriesRequest, peer::v1::AppendEntriesResponse>;
  using ForwardStream = IncomingPeerStream<peer::v1::ForwardRequest, peer::v1::ForwardResponse>;

  grpc::Status OnAppendFrame(AppendStream* stream, raft::NodeId* from,
                             peer::v1::AppendEntriesRequest frame);
  grpc::Status OnForwardFrame(ForwardStream* stream, raft::NodeId* from,
                              peer::v1::ForwardRequest frame);
  // Whether whoever says this of itself may call.
  grpc::Status CheckCaller(const grpc::ServerContext& call, const peer::v1::PeerIdentity& identity);
  // Whether it may open a stream, too; takes note of where it is then.
  grpc::Status CheckOpening(const grpc::ServerContext& call,
                            const peer::v1::PeerIdentity& identity);
  // What the first frame of a stream is refused with that is no opening.
  grpc::Status NoOpening();
  SnapshotReceiver::Hooks SnapshotHooks();
  void StartSnapshots();
  // Checks a stream's first frame and, when it is good, makes the stream the peer's only one.
  template <typename Stream, typename Frame>
  grpc::Status OnOpening(Stream* stream, const Frame& frame, raft::NodeId* from,
                         std::map<raft::NodeId, Stream*>* streams);
  void OnHello(HelloCall* call, const peer::v1::HelloRequest& request);
  void OnVoteRequest(VoteCall* call, const peer::v1::RequestVoteRequest& request);
  void OnTimeoutNow(TimeoutNowCall* call, const peer::v1::TimeoutNowRequest& request);
  void OnChange(ChangeCall* call, const peer::v1::ChangeMembersRequest& request);
  void OnTransfer(TransferCall* call, const peer::v1::TransferLeadershipRequest& request);

  PeerContext* const context_;
  Hooks hooks_;
  RaftGrpcService raft_service_;
  ForwardGrpcService forward_service_;
  AppendStream::Announce announce_append_;
  AppendStream::Accept accept_append_;
  ForwardStream::Announce announce_forward_;
  ForwardStream::Accept accept_forward_;
  std::map<raft::NodeId, AppendStream*> append_streams_;
  std::map<raft::NodeId, ForwardStream*> forward_streams_;
  // At most kPendingVotesMax per peer, oldest first.
  std::map<raft::NodeId, std::deque<VoteCall*>> votes_;
  // Null before Start.
  std::unique_ptr<SnapshotReceiver> snapshots_;
  IncomingSnapshotStream::Service snapshot_streams_;
};

}  // namespace raftkv::server
