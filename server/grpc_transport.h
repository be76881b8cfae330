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

  // Makes the links to the other members, each to the address that it published last, or else was
  // founded with; makes a link anew when the address has changed. REQUIRES: the cluster is founded.
  void Connect();
  // Tells the driver of streams that broke since the last call. Called before each turn of the
  // driver, never inside one, since the driver must not hear of a loss while it is sending.
  void ReportLosses();
  // Ends every stream without telling the driver.
  void Shutdown();
  // A sign that `peer` is up: a link that waits before it tries again tries now.
  void OnPeerSeen(raft::NodeId peer);

  void Send(raft::Envelope envelope, raft::ClusterMillis cluster_time) override;
  bool Forward(raft::NodeId leader, raft::ForwardRequest request) override;
  void ReplyToForward(raft::NodeId origin, raft::ForwardReply reply) override;

 private:
  PeerLink* LinkTo(raft::NodeId peer);

  Node* const node_;
  PeerService* const incoming_;
  std::map<raft::NodeId, std::unique_ptr<PeerLink>> links_;
};

}  // namespace raftkv::server
