// UnaryCall is one call of a unary client API method, as bytes: parsing is ours, so that a request
// that does not parse and one with unknown fields get answers of their own.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>
#include <grpcpp/support/byte_buffer.h>

#include <functional>

#include "base/clock.h"
#include "server/api_error.h"
#include "server/event_loop.h"

namespace raftkv::server {

// Counts what is under way, so that a stop can wait for it. Confined to the loop.
struct CallAccounting {
  uint64_t in_flight = 0;
};

// Confined to the loop. Deletes itself after its last event; exactly one of Finish and Fail must be
// called.
class UnaryCall final : public EventTag {
 public:
  // How a method is announced to gRPC and what handles a call. Outlives its calls.
  struct Method {
    using Responder = grpc::ServerAsyncResponseWriter<grpc::ByteBuffer>;
    std::function<void(grpc::ServerContext*, grpc::ByteBuffer*, Responder*,
                       grpc::ServerCompletionQueue*, void*)>
        announce;
    std::function<void(UnaryCall*)> handle;
    grpc::ServerCompletionQueue* queue = nullptr;
    CallAccounting* accounting = nullptr;
  };

  // Announces `count` calls; each announces its successor when it arrives.
  static void Announce(const Method& method, int count);

  // Parses the request and looks for fields that this version does not know. Fails the call and
  // returns false when either goes wrong.
  [[nodiscard]] bool Parse(google::protobuf::Message* request);
  // When the client stops waiting; `default_timeout` from now when it did not say.
  MonotonicNanos Deadline(MonotonicNanos now, MonotonicNanos default_timeout) const;

  void Finish(const google::protobuf::Message& response);
  void Fail(const ApiError& error);

  void OnEvent(bool ok) override;

 private:
  enum class State { kAnnounced, kHandling, kFinishing };

  explicit UnaryCall(const Method& method);

  const Method& method_;
  State state_ = State::kAnnounced;
  grpc::ServerContext context_;
  grpc::ByteBuffer request_;
  Method::Responder responder_;
};

}  // namespace raftkv::server
