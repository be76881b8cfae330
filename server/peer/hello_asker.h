// HelloAsker asks another node who it is, again and again.
#pragma once

#include <grpcpp/support/status.h>

#include <functional>

#include "raftkv/peer/v1/raft.pb.h"

namespace raftkv::server {

// Asks until it is destroyed. Confined to the loop.
class HelloAsker {
 public:
  // Must not destroy the asker.
  using OnAnswer =
      std::function<void(const grpc::Status& status, const peer::v1::HelloResponse& response)>;

  virtual ~HelloAsker() = default;

  // Asks when the last answer is long enough ago; called every tick.
  virtual void Tick() = 0;
};

}  // namespace raftkv::server
