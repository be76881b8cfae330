// HelloAsker asks another node who it is, again and again.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "raftkv/peer/v1/raft.grpc.pb.h"
#include "server/event_loop.h"
#include "server/node.h"

namespace raftkv::server {

// One call at a time, until it is destroyed. Confined to the loop.
class HelloAsker final {
 public:
  // Must not destroy the asker.
  using OnAnswer =
      std::function<void(const grpc::Status& status, const peer::v1::HelloResponse& response)>;

  HelloAsker(Node* node, const std::string& address, peer::v1::HelloRequest request,
             OnAnswer on_answer);
  // Gives up the call that is under way; it is not answered.
  ~HelloAsker();
  HelloAsker(const HelloAsker&) = delete;
  HelloAsker& operator=(const HelloAsker&) = delete;

  // Asks when the last answer is long enough ago; called every tick.
  void Tick();

 private:
  class Call;

  Node* const node_;
  const std::unique_ptr<peer::v1::RaftService::Stub> stub_;
  const peer::v1::HelloRequest request_;
  const OnAnswer on_answer_;
  Call* call_ = nullptr;
  MonotonicNanos next_attempt_ = 0;
};

}  // namespace raftkv::server
