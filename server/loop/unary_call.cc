#include "server/loop/unary_call.h"

#include <glog/logging.h>

#include <grpc/support/time.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "kv/errors.h"
#include "server/loop/grpc_error.h"
#include "server/loop/message_bytes.h"
#include "server/loop/unknown_fields.h"

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

UnaryCall::UnaryCall(const Method& method)
    : method_(method), unsendable_(method.unsendable), stream_(&context_) {
  method_.service->Announce(method_.number, &context_, &stream_, method_.queue,
                            announcement_.Begin());
}

void UnaryCall::Announce(const Method& method, int count) {
  for (int i = 0; i < count; ++i) {
    new UnaryCall(method);
  }
}

void UnaryCall::OnArrived(bool ok) {
  if (!ok) {  // The server is shutting down.
    state_ = State::kOver;
    return;
  }
  new UnaryCall(method_);
  state_ = State::kReading;
  deadline_ = ClientsDeadline();
  unfinished_ = method_.accounting->unfinished.Add(this, method_.accounting->clock->Now());
  stream_.Read(&request_, read_.Begin());
}

void UnaryCall::OnRead(bool ok) {
  if (state_ != State::kReading) {  // It was given up.
    return;
  }
  method_.accounting->unfinished.Remove(*std::exchange(unfinished_, std::nullopt));
  if (!ok) {
    // Whoever is still there ended the call without a request, or gRPC refused it.
    state_ = State::kFinishing;
    stream_.Finish(grpc::Status(grpc::StatusCode::INTERNAL, "the call has no request"),
                   finish_.Begin());
    return;
  }
  Begin(request_.Length());
  handled_ = true;
  ++method_.accounting->in_flight;
  method_.handle(this);
}

void UnaryCall::GiveUp() {
  CHECK(state_ == State::kReading);
  unfinished_.reset();
  Begin(/*request_bytes=*/0);
  Fail(kv::UnfinishedError());
}

void UnaryCall::Begin(uint64_t request_bytes) {
  state_ = State::kHandling;
  begun_at_ = method_.accounting->clock->Now();
  method_.counts->OnStarted(request_bytes);
}

void UnaryCall::CountAnswer(absl::StatusCode code, uint64_t answer_bytes) {
  method_.counts->OnHandled(code, method_.accounting->clock->Now() - begun_at_, answer_bytes);
  // One that did not come whole was asked by nobody.
  if (handled_ && method_.accounting->requests != nullptr) {
    method_.accounting->requests->OnAnswered(method_.kind, begun_at_,
                                             code != absl::StatusCode::kOk);
  }
}

void UnaryCall::OnFinished(bool /*ok*/) {
  state_ = State::kOver;
  if (handled_) {
    --method_.accounting->in_flight;
  }
  if (ticket_.has_value()) {
    method_.accounting->backlog.Remove(*ticket_);
  }
}

bool UnaryCall::Parse(google::protobuf::Message* request) {
  if (!ParseMessage(&request_, request)) {
    Fail(kv::MalformedError(request->GetDescriptor()->full_name()));
    return false;
  }
  if (const absl::Status known = CheckFieldsAreKnown(*request); !known.ok()) {
    Fail(known);
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
    Fail(unsendable_());
    return;
  }
  if (bytes.Length() >= kSmallAnswerBytes) {
    // A client with a far deadline must not keep the room of all others for as long.
    const CallAccounting& accounting = *method_.accounting;
    const MonotonicNanos give_up_at =
        std::min(deadline_, DeadlineAfter(accounting.clock->Now(), accounting.default_timeout));
    ticket_ = backlog.Add(bytes.Length(), give_up_at, [this] { context_.TryCancel(); });
  }
  CountAnswer(absl::StatusCode::kOk, bytes.Length());
  state_ = State::kFinishing;
  stream_.WriteAndFinish(bytes, grpc::WriteOptions(), grpc::Status::OK, finish_.Begin());
}

void UnaryCall::Fail(const absl::Status& error) {
  CHECK(state_ == State::kHandling);
  CHECK(!error.ok());
  CountAnswer(error.code(), 0);
  state_ = State::kFinishing;
  if (const std::optional<int> pushback = RetryPushbackMs(error); pushback.has_value()) {
    context_.AddTrailingMetadata("grpc-retry-pushback-ms", absl::StrCat(*pushback));
  }
  stream_.Finish(ToGrpcStatus(error), finish_.Begin());
}

}  // namespace raftkv::server
