// The transport of one process: gathers what a turn of the driver sends into frames, as the
// server's streams do, and hands them to the network when the turn is over.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "raft/runtime/transport.h"
#include "tests/simulation/frames.h"
#include "tests/simulation/network.h"
#include "tests/simulation/snapshot_sender.h"

namespace raftkv::simulation {

// Confined to one thread. Ends with its process.
class SimTransport final : public raft::Transport {
 public:
  SimTransport(raft::NodeId self, Network* network, SnapshotSender* snapshots,
               std::function<void(const raft::Envelope&)> on_send)
      : self_(self), network_(*network), snapshots_(*snapshots), on_send_(std::move(on_send)) {}

  void Send(raft::Envelope envelope, raft::ClusterMillis cluster_time) override;
  bool HasForwardRoom(raft::NodeId leader) const override {
    return network_.HasForwardRoom(self_, leader);
  }
  bool Forward(raft::NodeId leader, raft::ForwardRequest request) override {
    return network_.Forward(self_, leader, std::move(request));
  }
  void ReplyToForward(raft::NodeId origin, raft::ForwardReply reply) override {
    network_.ReplyToForward(self_, origin, std::move(reply));
  }
  void SendSnapshot(raft::NodeId peer, raft::Term term,
                    std::unique_ptr<raft::SnapshotReader> snapshot) override {
    snapshots_.Send(peer, term, std::move(snapshot));
  }
  void StopSnapshot(raft::NodeId peer) override { snapshots_.Stop(peer); }

  // Lets go of what was sent since the last call.
  void Flush();

 private:
  const raft::NodeId self_;
  Network& network_;
  SnapshotSender& snapshots_;
  const std::function<void(const raft::Envelope&)> on_send_;
  std::map<raft::NodeId, std::vector<LeaderFrame>> to_followers_;
  std::map<raft::NodeId, std::vector<FollowerFrame>> to_leaders_;
};

}  // namespace raftkv::simulation
