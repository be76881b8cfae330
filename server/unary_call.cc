#include "server/unary_call.h"

#include <glog/logging.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/message_bytes.h"
#include "server/unknown_fields.h"

namespace raftkv::server {

namespace {

constexpr MonotonicNanos kAnswerMarginMax = 200 * kNanosPerMilli;

}  // namespace

MonotonicNanos AnswerMargin(MonotonicNanos left) {
  return std::min(left / 2, EventLoop::kTick + std::min(left / 10, kAnswerMarginMax));
}

UnaryCall::UnaryCall(const Method& method) : method_(method), responder_(&context_) {
  method_.announce(&context_, &request_, &responder_, method_.queue, this);
}

void UnaryCall::Announce(const Method& method, int count) {
  for (int i = 0; i < count; ++i) {
    new UnaryCall(method);
  }
}

void UnaryCall::OnEvent(bool ok) {
  switch (state_) {
    case State::kAnnounced:
      if (!ok) {  // The server is shutting down.
        delete this;
        return;
      }
      new UnaryCall(method_);
      state_ = State::kHandling;
      deadline_ = ClientsDeadline();
      ++method_.accounting->in_flight;
      method_.handle(this);
      return;
    case State::kFinishing:
      --method_.accounting->in_flight;
      if (ticket_.has_value()) {
        method_.accounting->backlog.Remove(*ticket_);
      }
      delete this;
      return;
    case State::kHandling:
      LOG(FATAL) << "an event for a call that is being handled";
  }
}

bool UnaryCall::Parse(google::protobuf::Message* request) {
  if (!ParseMessage(&request_, request)) {
    Fail(Malformed(request->GetDescriptor()->full_name()));
    return false;
  }
  if (std::optional<std::string> unknown = FindUnknownField(*request); unknown.has_value()) {
    Fail(UnknownField(*unknown));
    return false;
  }
  return true;
}

MonotonicNanos UnaryCall::ClientsDeadline() const {
  const MonotonicNanos now = method_.accounting->clock->Now();
  const auto deadline = context_.deadline();
  if (deadline == std::chrono::system_clock::time_point::max()) {
    return now + method_.accounting->default_timeout;
  }
  const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(
      deadline - std::chrono::system_clock::now());
  // A year is as good as any longer time and cannot overflow.
  return now + std::clamp<int64_t>(left.count(), 0, 365 * 86'400 * kNanosPerSecond);
}

MonotonicNanos UnaryCall::AnswerBy() const {
  const MonotonicNanos now = method_.accounting->clock->Now();
  return deadline_ - AnswerMargin(std::max<MonotonicNanos>(deadline_ - now, 0));
}

void UnaryCall::Finish(const google::protobuf::Message& response) {
  CHECK(state_ == State::kHandling);
  const grpc::ByteBuffer bytes = SerializeMessage(response);
  AnswerBacklog& backlog = method_.accounting->backlog;
  if (!backlog.HasRoomFor(bytes.Length())) {
    Fail(method_.unsendable());
    return;
  }
  if (bytes.Length() >= kSmallAnswerBytes) {
    // A client with a far deadline must not keep the room of all others for as long.
    const CallAccounting& accounting = *method_.accounting;
    const MonotonicNanos give_up_at =
        std::min(deadline_, accounting.clock->Now() + accounting.default_timeout);
    ticket_ = backlog.Add(bytes.Length(), give_up_at, [this] { context_.TryCancel(); });
  }
  state_ = State::kFinishing;
  responder_.Finish(bytes, grpc::Status::OK, this);
}

void UnaryCall::Fail(const ApiError& error) {
  CHECK(state_ == State::kHandling);
  state_ = State::kFinishing;
  if (error.retry_pushback_ms.has_value()) {
    context_.AddTrailingMetadata("grpc-retry-pushback-ms", absl::StrCat(*error.retry_pushback_ms));
  }
  responder_.FinishWithError(error.ToStatus(), this);
}

}  // namespace raftkv::server
