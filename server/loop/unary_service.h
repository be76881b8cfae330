// UnaryService offers methods to gRPC as streams of bytes, though their clients send one message
// and get one. gRPC announces a unary call only when its request has come as a whole; until then
// nobody but gRPC knows of the call, and nothing ends it.
#pragma once

#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

namespace raftkv::server {

// Confined to the loop once its server is started.
class UnaryService final : public grpc::Service {
 public:
  using Stream = grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

  // Returns the number of the method. `path` is its full name, "/package.Service/Method", and
  // outlives the service. REQUIRES: the service is not registered yet.
  int AddMethod(const char* path);

  // Hands the next call of a method to `tag` once its headers are there.
  // REQUIRES: the server is started.
  void Announce(int method, grpc::ServerContext* context, Stream* stream,
                grpc::ServerCompletionQueue* queue, void* tag) {
    RequestAsyncBidiStreaming(method, context, stream, queue, queue, tag);
  }

 private:
  int methods_ = 0;
};

}  // namespace raftkv::server
