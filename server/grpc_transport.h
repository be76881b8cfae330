// GrpcTransport carries the driver's messages to other members: this member's calls and streams to
// them (peer_link.h), and its answers on the streams that they opened (peer_service.h).
#pragma once

#include <map>
#include <memory>

#include "raft/runtime/transport.h"
#include "server/node.h"
#include "server/peer_link.h"
#include "server/peer_service.h"

namespace raftkv::server {

// Confined to the loop.
class GrpcTransport final : public raft::Transport {
 public:
  GrpcTransport(Node* node, PeerService* incoming) : node_(node), incoming_(incoming) {}

  // Makes the links to the other members, each to the address that it called from last, else
  // published, else was founded with; makes a link anew when that has changed. REQUIRES: the
  // cluster is founded.
  void Connect();
  // Tells the driver of streams that broke since the last call. Called before each turn of the
  // driver, never inside one, since the driver must not hear of a loss while it is sending.
  void ReportLosses();
  // Ends every stream without telling the driver.
  void Shutdown();
  // `peer` called and says that it is reached at `address` (empty: it does not say): a link that
  // waits before it tries again tries now. A peer that moved may have no other way to say so:
  // without a leader it cannot publish.
  void OnPeerSeen(raft::NodeId peer, const std::string& address);

  void Send(raft::Envelope envelope, raft::ClusterMillis cluster_time) override;
  bool HasForwardRoom(raft::NodeId leader) const override;
  bool Forward(raft::NodeId leader, raft::ForwardRequest request) override;
  void ReplyToForward(raft::NodeId origin, raft::ForwardReply reply) override;

 private:
  PeerLink* LinkTo(raft::NodeId peer) const;

  Node* const node_;
  PeerService* const incoming_;
  std::map<raft::NodeId, std::string> seen_addresses_;
  std::map<raft::NodeId, std::unique_ptr<PeerLink>> links_;
};

}  // namespace raftkv::server
