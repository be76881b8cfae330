// UnaryService offers methods to gRPC as streams of bytes, though their clients send one message
// and get one. gRPC announces a unary call only when its request has come as a whole; until then
// nobody but gRPC knows of the call, and nothing ends it.
#pragma once

#include <grpcpp/completion_queue.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_stream.h>
#include <grpcpp/support/byte_buffer.h>

#include <initializer_list>

namespace raftkv::server {

// Confined to the loop once its server is started.
class UnaryService final : public grpc::Service {
 public:
  using Stream = grpc::ServerAsyncReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;

  // `methods` are full names, "/package.Service/Method", and outlive the service.
  explicit UnaryService(std::initializer_list<const char*> methods);

  // Hands the next call of a method, numbered as above, to `tag` once its headers are there.
  // REQUIRES: the server is started.
  void Announce(int method, grpc::ServerContext* context, Stream* stream,
                grpc::ServerCompletionQueue* queue, void* tag) {
    RequestAsyncBidiStreaming(method, context, stream, queue, queue, tag);
  }
};

}  // namespace raftkv::server
