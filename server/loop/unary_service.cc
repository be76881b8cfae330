#include "server/loop/unary_service.h"

#include <grpcpp/impl/rpc_method.h>
#include <grpcpp/impl/rpc_service_method.h>

namespace raftkv::server {

int UnaryService::AddMethod(const char* path) {
  grpc::Service::AddMethod(new grpc::internal::RpcServiceMethod(
      path, grpc::internal::RpcMethod::BIDI_STREAMING, /*handler=*/nullptr));
  // Otherwise gRPC takes it for a synchronous one and starts threads for it.
  MarkMethodRaw(methods_);
  return methods_++;
}

}  // namespace raftkv::server
