// GrpcTransport carries the driver's messages to other members: this member's calls and streams to
// them (peer_link.h), and its answers on the streams that they opened (peer_service.h).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "raft/runtime/transport.h"
#include "raftkv/v1/cluster.pb.h"
#include "server/peer/peer_context.h"
#include "server/peer/peer_link.h"
#include "server/peer/peer_service.h"

namespace raftkv::server {

// Confined to the loop.
class GrpcTransport final : public raft::Transport {
 public:
  GrpcTransport(PeerContext* context, PeerService* incoming)
      : context_(context), incoming_(incoming) {}

  // Makes links to who is a peer by now (MemberDirectory::Peers), and ends those to who is none any
  // more. REQUIRES: the cluster is founded.
  void FollowMembers();
  // Connects to members where they are now. Called every tick.
  void Tick();
  // Tells the driver of streams that broke, of peers that are gone, and of snapshots that ended,
  // since the last call. Called before each turn of the driver, never inside one, since the driver
  // must not hear of a loss while it is sending.
  void ReportLosses();
  // Ends every stream without telling the driver.
  void Shutdown();
  // `peer` called, from the URI `caller` (gRPC's; empty: not known), and says that it is reached at
  // `address` (empty: it does not say). A peer that moved may have no other way to say so: without
  // a leader it cannot publish.
  void OnPeerSeen(raft::NodeId peer, const std::string& address, const std::string& caller);
  // Asks `leader` to hand over to `target` (PeerLink::TransferLeadership).
  void TransferLeadership(raft::NodeId leader, raft::NodeId target, MonotonicNanos deadline,
                          raft::TransferCallback done);
  // Asks `leader` for a change of members (PeerLink::ChangeMembers).
  void ChangeMembers(raft::NodeId leader, peer::v1::ChangeMembersRequest change,
                     MonotonicNanos deadline, kv::Membership::Done done);
  // By member.
  std::vector<PeerFigures> Figures() const;
  // Adds what is known of each other member.
  void FillStatus(v1::GetStatusResponse* response) const;
  // Who cannot be reached, since when and why; empty: everybody can.
  std::string UnreachableText() const;

  void Send(raft::Envelope envelope, raft::ClusterMillis cluster_time) override;
  bool HasForwardRoom(raft::NodeId leader) const override;
  bool Forward(raft::NodeId leader, raft::ForwardRequest request) override;
  void ReplyToForward(raft::NodeId origin, raft::ForwardReply reply) override;
  void SendSnapshot(raft::NodeId peer, raft::Term term,
                    std::unique_ptr<raft::SnapshotReader> snapshot) override;
  void StopSnapshot(raft::NodeId peer) override;

 private:
  PeerLink* LinkTo(raft::NodeId peer) const;
  void AddLinks();

  PeerContext* const context_;
  PeerService* const incoming_;
  std::map<raft::NodeId, std::unique_ptr<PeerLink>> links_;
  // Snapshots that could not begin, for want of a link.
  std::vector<raft::NodeId> unsent_snapshots_;
  bool shut_down_ = false;
};

}  // namespace raftkv::server
