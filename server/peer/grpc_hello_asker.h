// GrpcHelloAsker asks another node wherever that node may be.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "raftkv/peer/v1/raft.grpc.pb.h"
#include "server/peer/hello_asker.h"
#include "server/peer/peer_call.h"
#include "server/peer/peer_channel.h"
#include "server/peer/peer_context.h"

namespace raftkv::server {

// One call at a time. Confined to the loop.
class GrpcHelloAsker final : public HelloAsker {
 public:
  // Where the node may be, the likeliest first.
  using Addresses = std::function<std::vector<std::string>()>;

  // Asks the member `name`; others who answer in its place are heard, too,
  // but then it asks elsewhere.
  GrpcHelloAsker(PeerContext* context, std::string name, Addresses addresses,
                 peer::v1::HelloRequest request, OnAnswer on_answer);
  // Gives up the call that is under way; it is not answered.
  ~GrpcHelloAsker() override;
  GrpcHelloAsker(const GrpcHelloAsker&) = delete;
  GrpcHelloAsker& operator=(const GrpcHelloAsker&) = delete;

  void Tick() override;

 private:
  void Ask();
  // Fails the call that is under way, if one is.
  void GiveUp(const grpc::Status& status);

  PeerContext* const context_;
  const std::string name_;
  const peer::v1::HelloRequest request_;
  const OnAnswer on_answer_;
  PeerChannel connection_;
  PeerCall<peer::v1::HelloResponse>* call_ = nullptr;
  MonotonicNanos asked_at_ = 0;
};

}  // namespace raftkv::server
