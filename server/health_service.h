// grpc.health.v1 on the loop. gRPC's own service would bring a pool of polling threads that take
// events away from the loop and hand them back (docs/adr/0003-own-health-service.md).
//
//   ""                       SERVING from ready to drain, quorum or not: liveness
//   raftkv.v1.KvService ...  SERVING while a leader is known and applied state is caught up:
//                            readiness
//   raftkv.leader            SERVING while this member leads
#pragma once

#include <array>
#include <set>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"
#include "server/node.h"
#include "server/unary_call.h"

namespace raftkv::server {

// Confined to the loop.
class HealthService final {
 public:
  using GrpcService = grpc::health::v1::Health::WithRawMethod_Check<
      grpc::health::v1::Health::WithAsyncMethod_Watch<grpc::health::v1::Health::Service>>;

  explicit HealthService(Node* node) : node_(node) {}

  GrpcService* grpc_service() { return &grpc_service_; }
  // Starts taking calls. REQUIRES: the server is started.
  void Start();
  // Tells watchers what has changed; called every turn.
  void OnTurn();
  // Ends all watches; called when the node stops.
  void EndWatches();

 private:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;
  // The three kinds above.
  enum class Kind { kLiveness, kReadiness, kLeadership, kUnknown };
  class Watch;

  static Kind KindOf(const std::string& service);
  Status Current(Kind kind) const;
  void HandleCheck(UnaryCall* call);

  Node* const node_;
  GrpcService grpc_service_;
  UnaryCall::Method check_method_;
  std::set<Watch*> watches_;
  bool ended_ = false;
};

}  // namespace raftkv::server
