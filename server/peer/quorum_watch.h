// QuorumWatch says aloud that this member has no leader for long: whom it cannot reach, since when
// and why.
#pragma once

#include <string>

#include "server/peer/grpc_transport.h"
#include "server/peer/peer_context.h"

namespace raftkv::server {

// Confined to the loop.
class QuorumWatch final {
 public:
  QuorumWatch(const PeerContext* context, const GrpcTransport* transport)
      : context_(context), transport_(transport) {}

  // Logs a warning when there has been no leader for a while, and every 30 s from then on. Called
  // every tick once the cluster is founded.
  void Tick();
  // What is wrong now; empty while a leader is known.
  std::string Warning() const;

 private:
  const PeerContext* const context_;
  const GrpcTransport* const transport_;
  MonotonicNanos no_leader_since_ = 0;  // 0: a leader is known.
  MonotonicNanos next_warning_ = 0;
};

}  // namespace raftkv::server
