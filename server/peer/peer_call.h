// PeerCall is one unary call to a peer. It has no deadline of gRPC's, whose timers go by the wall
// clock: whoever made it gives it up when it takes too long.
#pragma once

#include <grpcpp/client_context.h>
#include <grpcpp/support/async_unary_call.h>

#include <functional>
#include <memory>
#include <utility>

#include "server/loop/event_loop.h"

namespace raftkv::server {

// Deletes itself after its answer, or once it was abandoned. Confined to the loop.
template <typename Response>
class PeerCall final : public EventTag {
 public:
  using OnAnswer = std::function<void(const grpc::Status& status, const Response& response)>;

  // `start` begins the call with the context that it is given and returns its reader.
  template <typename Start>
  PeerCall(Start start, OnAnswer on_answer)
      : on_answer_(std::move(on_answer)), reader_(start(&context_)) {
    reader_->Finish(&response_, &status_, this);
  }

  void OnEvent(bool /*ok*/) override {
    if (on_answer_) {
      on_answer_(status_, response_);
    }
    delete this;
  }
  void OnLeftOver(bool /*ok*/) override { delete this; }

  // It is not answered any more.
  void Abandon() {
    on_answer_ = nullptr;
    context_.TryCancel();
  }

 private:
  OnAnswer on_answer_;
  grpc::ClientContext context_;
  Response response_;
  grpc::Status status_;
  const std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader_;
};

}  // namespace raftkv::server
