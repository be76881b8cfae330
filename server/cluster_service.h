// The client API's ClusterService: who the members are and how this one is.
#pragma once

#include <vector>

#include "raftkv/v1/cluster.grpc.pb.h"
#include "server/node.h"
#include "server/unary_call.h"

namespace raftkv::server {

// Confined to the loop.
class ClusterService final {
 public:
  using GrpcService = v1::ClusterService::WithRawMethod_ListMembers<
      v1::ClusterService::WithRawMethod_GetStatus<v1::ClusterService::Service>>;

  explicit ClusterService(Node* node) : node_(node) {}

  GrpcService* grpc_service() { return &grpc_service_; }
  // Starts taking calls. REQUIRES: the server is started.
  void Start();

 private:
  void HandleListMembers(UnaryCall* call);
  void HandleGetStatus(UnaryCall* call);
  void FinishListMembers(UnaryCall* call) const;
  void FillStatus(v1::GetStatusResponse* response) const;

  Node* const node_;
  GrpcService grpc_service_;
  std::vector<UnaryCall::Method> methods_;
};

}  // namespace raftkv::server
