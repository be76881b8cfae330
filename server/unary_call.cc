#include "server/unary_call.h"

#include <glog/logging.h>

#include <grpc/support/time.h>

#include <algorithm>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "server/message_bytes.h"
#include "server/unknown_fields.h"

namespace raftkv::server {

namespace {

constexpr MonotonicNanos kAnswerMarginMax = 200 * kNanosPerMilli;

}  // namespace

MonotonicNanos AnswerMargin(MonotonicNanos left) {
  return std::min(left / 2, EventLoop::kTick + std::min(left / 10, kAnswerMarginMax));
}

MonotonicNanos TimeUntil(gpr_timespec deadline, gpr_timespec now) {
  const gpr_timespec left = gpr_time_sub(deadline, now);
  if (left.tv_sec < 0) {
    return 0;
  }
  return left.tv_sec >= kNever / kNanosPerSecond ? kNever
                                                 : left.tv_sec * kNanosPerSecond + left.tv_nsec;
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
  // Not deadline(): chrono's nanoseconds end in the year 2262 and wrap around.
  const gpr_timespec deadline = context_.raw_deadline();
  if (gpr_time_cmp(deadline, gpr_inf_future(deadline.clock_type)) == 0) {
    return DeadlineAfter(now, method_.accounting->default_timeout);
  }
  return DeadlineAfter(now, TimeUntil(deadline, gpr_now(deadline.clock_type)));
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
        std::min(deadline_, DeadlineAfter(accounting.clock->Now(), accounting.default_timeout));
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
