#include "server/unary_service.h"

#include <grpcpp/impl/rpc_method.h>
#include <grpcpp/impl/rpc_service_method.h>

namespace raftkv::server {

UnaryService::UnaryService(std::initializer_list<const char*> methods) {
  int number = 0;
  for (const char* method : methods) {
    AddMethod(new grpc::internal::RpcServiceMethod(
        method, grpc::internal::RpcMethod::BIDI_STREAMING, /*handler=*/nullptr));
    // Otherwise gRPC takes it for a synchronous one and starts threads for it.
    MarkMethodRaw(number++);
  }
}

}  // namespace raftkv::server
