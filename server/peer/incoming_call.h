// IncomingCall is one unary call of a peer, from its announcement to the end of its answer.
#pragma once

#include <grpcpp/server_context.h>
#include <grpcpp/support/async_unary_call.h>

#include <string>

#include "server/loop/event_loop.h"

namespace raftkv::server {

// Deletes itself. Confined to the loop.
template <typename GrpcService, typename Request, typename Response>
class IncomingCall : public EventTag {
 public:
  std::string caller() const { return context_.peer(); }
  const grpc::ServerContext& call() const { return context_; }
  void Answer(const Response& response) {
    answered_ = true;
    responder_.Finish(response, grpc::Status::OK, this);
  }
  void Refuse(const grpc::Status& status) {
    answered_ = true;
    responder_.FinishWithError(status, this);
  }

  void OnEvent(bool ok) final {
    if (!ok || answered_) {
      delete this;
    } else {
      OnArrived(request_);
    }
  }
  void OnLeftOver(bool /*ok*/) final { delete this; }

 protected:
  using Announce = void (GrpcService::*)(grpc::ServerContext*, Request*,
                                         grpc::ServerAsyncResponseWriter<Response>*,
                                         grpc::CompletionQueue*, grpc::ServerCompletionQueue*,
                                         void*);
  IncomingCall(EventLoop* loop, GrpcService* grpc_service, Announce announce)
      : responder_(&context_) {
    (grpc_service->*announce)(&context_, &request_, &responder_, loop->queue(),
                              loop->announcements(), this);
  }

  // Announces the next call, and answers this one, at once or later.
  virtual void OnArrived(const Request& request) = 0;

  Request request_;

 private:
  bool answered_ = false;
  grpc::ServerContext context_;
  grpc::ServerAsyncResponseWriter<Response> responder_;
};

}  // namespace raftkv::server
