// The client API's ClusterService: who the members are and how this one is.
#pragma once

#include <vector>

#include "raftkv/v1/cluster.pb.h"
#include "server/node.h"
#include "server/unary_call.h"

namespace raftkv::server {

// Confined to the loop.
class ClusterService final {
 public:
  explicit ClusterService(Node* node) : node_(node) {}

  grpc::Service* grpc_service() { return &grpc_service_; }
  // Starts taking calls. REQUIRES: the server is started.
  void Start();

 private:
  void HandleListMembers(UnaryCall* call);
  void HandleGetStatus(UnaryCall* call);
  void FinishListMembers(UnaryCall* call) const;
  void FillStatus(v1::GetStatusResponse* response) const;

  Node* const node_;
  UnaryService grpc_service_{"/raftkv.v1.ClusterService/ListMembers",
                             "/raftkv.v1.ClusterService/GetStatus"};
  std::vector<UnaryCall::Method> methods_;
};

}  // namespace raftkv::server
