// PeerLink is this member's way to one other member: a connection (peer_channel.h) with the vote
// calls, the append stream while this member leads, and the forward stream while the other leads.
// While a snapshot is under way to it there is a connection for that alone: what waits in a
// connection's socket holds up all that comes behind it, and a snapshot is much.
#pragma once

#include <grpcpp/generic/generic_stub.h>

#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "kv/membership.h"
#include "raft/core/message.h"
#include "raft/runtime/transport.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "raftkv/peer/v1/forward.grpc.pb.h"
#include "raftkv/peer/v1/raft.grpc.pb.h"
#include "server/peer/leader_calls.h"
#include "server/peer/peer_call.h"
#include "server/peer/peer_channel.h"
#include "server/peer/peer_context.h"
#include "server/peer/peer_figures.h"
#include "server/peer/peer_stream.h"
#include "server/peer/snapshot_sender.h"

namespace raftkv::server {

// Confined to the loop.
class PeerLink final {
 public:
  PeerLink(PeerContext* context, const kv::MemberEntry& peer);

  ~PeerLink();
  PeerLink(const PeerLink&) = delete;
  PeerLink& operator=(const PeerLink&) = delete;

  const std::string& name() const { return name_; }
  // Connects, gives up calls that are not answered, and asks the peer every second who it is and
  // where it has seen other members: a connection on which nothing comes back is given up. Called
  // every tick.
  void Tick();
  // The answer, if one comes, is given to the driver.
  void RequestVote(const raft::Envelope& envelope);
  // Asks the peer to stand for election. Lost when there is no connection.
  void SendTimeoutNow(const raft::Envelope& envelope);
  // Asks the peer, as the leader, to hand over to `target`; `done` hears, by `deadline` plus a
  // tick, what its driver says, or Unavailable.
  void TransferLeadership(raft::NodeId target, MonotonicNanos deadline,
                          raft::TransferCallback done);
  // Asks the peer, as the leader, for a change of members; `done` hears, by `deadline` plus a tick,
  // how that ended there, or NO_LEADER, OUTCOME_UNKNOWN or OVERLOADED.
  void ChangeMembers(peer::v1::ChangeMembersRequest change, MonotonicNanos deadline,
                     kv::Membership::Done done);
  // Opens the stream when there is none. While that is not possible messages are dropped, and
  // reported as a lost stream once one is open again.
  void SendAppend(const raft::Envelope& envelope, raft::ClusterMillis cluster_time);
  // False while the forward stream has much to send already.
  bool HasForwardRoom() const;
  // False when no stream is open; one is being opened then, and the loop turns when it is.
  [[nodiscard]] bool Forward(raft::ForwardRequest request);

  // Brings the peer a snapshot, as the leader of `term`. REQUIRES: none is under way.
  void SendSnapshot(raft::Term term, std::unique_ptr<raft::SnapshotReader> snapshot);
  // Gives up the one that is under way, if any.
  void StopSnapshot();
  // How it ended, once; nullopt: it did not, or there is none.
  std::optional<absl::Status> TakeSnapshotResult();

  // Whether a stream broke, or dropped messages, since the last call.
  bool TakeAppendStreamLost();
  bool TakeForwardStreamLost();
  // Whether the peer took no new connection, and said so at once, since the last call.
  bool TakeConnectionRefused();

  // The peer called, seemingly from this ip:port (empty: that is not known).
  void OnPeerSeen(const std::string& ip_port);
  // Since when the peer is not connected, or somebody else is in its place; 0: it is connected.
  MonotonicNanos unreachable_since() const { return connection_.unreachable_since(); }
  PeerFigures Figures() const;
  // Who is not reachable where, since when and why.
  std::string UnreachableText() const;
  void Shutdown();

 private:
  using AppendStream =
      OutgoingPeerStream<peer::v1::AppendEntriesResponse, peer::v1::AppendEntriesRequest>;
  using ForwardStream = OutgoingPeerStream<peer::v1::ForwardResponse, peer::v1::ForwardRequest>;

  using HelloCall = PeerCall<peer::v1::HelloResponse>;
  using VoteCall = PeerCall<peer::v1::RequestVoteResponse>;
  using TimeoutNowCall = PeerCall<peer::v1::TimeoutNowResponse>;
  struct OpenVote {
    VoteCall* call;
    MonotonicNanos asked_at;
  };
  peer::v1::PeerIdentity Identity() const;
  BulkWindow NewBulkWindow() const;
  SnapshotSender::Stream* OpenSnapshotStream(SnapshotSender::StreamOwner* owner,
                                             const peer::v1::SnapshotOpening& opening);
  void OnVoteAnswer(const grpc::Status& status, const peer::v1::RequestVoteResponse& response);
  void OnHelloAnswer(const grpc::Status& status, const peer::v1::HelloResponse& response);
  // The connection is another one now.
  void OnReplaced();
  void OnConnectionRefused();
  // A try to connect has failed: asks gRPC why, which it tells calls alone.
  void AskWhyNot();
  void SayHello();
  void GiveUpCalls();
  // Whether the peer has to be told that it is a member, which it does not know yet.
  bool ShouldInvite(const peer::v1::HelloResponse& response) const;
  void GiveUpStreams(const grpc::Status& status);
  void OpenAppendStream();
  void OpenForwardStream();
  void GatherForward(raft::ForwardRequest request, uint64_t bytes);
  grpc::Status OnAppendFrame(const peer::v1::AppendEntriesResponse& frame);
  grpc::Status OnForwardFrame(const peer::v1::ForwardResponse& frame);
  // The peer did not take a call or a stream on `channel`: is it the peer?
  void OnRefused(const grpc::Channel* channel, const grpc::Status& status);
  void OnReachable();
  void OnUnreachable(const grpc::Status& status);

  PeerContext* const context_;
  const raft::NodeId peer_;
  const std::string name_;
  LeaderCalls leader_calls_;
  PeerChannel connection_;
  // Of the connection; null while there is none.
  grpc::GenericStub generic_stub_{nullptr};
  std::unique_ptr<peer::v1::RaftService::Stub> raft_stub_;
  std::unique_ptr<peer::v1::ForwardService::Stub> forward_stub_;

  // Streams that have ended outlive the link until their last event, which must not reach it then.
  const std::shared_ptr<PeerLink*> self_ = std::make_shared<PeerLink*>(this);
  std::list<OpenVote> votes_;  // Oldest first.
  TimeoutNowCall* timeout_now_ = nullptr;
  HelloCall* hello_ = nullptr;
  bool invites_ = false;
  // Made only to hear why there is no connection, and what it heard last.
  HelloCall* why_not_ = nullptr;
  std::string reason_;
  // What was logged of it since there was a connection; each once, and not more than a few.
  std::set<std::string> logged_reasons_;
  MonotonicNanos next_hello_ = 0;
  Histogram round_trip_nanos_ = RoundTripHistogram();
  uint64_t silent_ticks_ = 0;  // Since an answer is owed and nothing came.
  AppendStream* append_stream_ = nullptr;
  ForwardStream* forward_stream_ = nullptr;
  // What was sent before there was this link is lost.
  bool append_stream_lost_ = true;
  bool forward_stream_lost_ = false;
  bool connection_refused_ = false;
  // The connection for the snapshot, and its sender; null while none is under way.
  std::unique_ptr<PeerChannel> snapshot_connection_;
  grpc::GenericStub snapshot_stub_{nullptr};
  std::unique_ptr<SnapshotSender> snapshot_;
  uint64_t ended_snapshots_bytes_ = 0;
  // A stream that failed is not opened again before this.
  MonotonicNanos next_append_attempt_ = 0;
  MonotonicNanos next_forward_attempt_ = 0;
  // What was logged last: OK, or how the stream ended.
  grpc::StatusCode logged_ = grpc::StatusCode::OK;
  bool shut_down_ = false;
};

}  // namespace raftkv::server
