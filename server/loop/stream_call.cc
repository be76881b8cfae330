#include "server/loop/stream_call.h"

#include <glog/logging.h>
#include <grpc/support/time.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "server/loop/grpc_error.h"

namespace raftkv::server {

EventTag* StreamCall::Tag::Begin() {
  CHECK(!pending_);
  pending_ = true;
  return this;
}

void StreamCall::Tag::OnEvent(bool ok) {
  pending_ = false;
  StreamCall* const call = call_;
  (call->*on_event_)(ok);
  call->DeleteIfOver();
}

void StreamCall::Tag::OnLeftOver(bool ok) {
  pending_ = false;
  call_->left_over_ = true;
  // gRPC gives notice of the end of each call that it had announced.
  if (this == &call_->announce_ && ok) {
    call_->done_.Begin();
  }
  call_->DeleteIfOver();
}

StreamCall::StreamCall(const Method& method) : method_(method), stream_(&context_) {
  context_.AsyncNotifyWhenDone(&done_);
  method_.service->Announce(method_.number, &context_, &stream_, method_.queue, announce_.Begin());
}

StreamCall::~StreamCall() = default;

void StreamCall::HandleAnnounced(bool ok) {
  if (!ok) {  // The server is shutting down, and there is no call.
    finishing_begun_ = true;
    return;
  }
  begun_ = true;
  done_.Begin();
  const gpr_timespec deadline = context_.raw_deadline();
  deadline_ =
      DeadlineAfter(calls().clock->Now(), TimeUntil(deadline, gpr_now(deadline.clock_type)));
  OnBegun();
}

void StreamCall::HandleRead(bool ok) {
  if (unfinished_.has_value()) {
    calls().unfinished.Remove(*std::exchange(unfinished_, std::nullopt));
  }
  if (is_open()) {
    OnRead(ok, &message_);
  }
}

void StreamCall::HandleWritten(bool ok) { OnWritten(ok); }

void StreamCall::HandleFinished(bool ok) { OnFinished(ok); }

void StreamCall::HandleDone(bool /*ok*/) {
  gone_ = true;
  if (is_open()) {
    OnGone();
  }
}

void StreamCall::GiveUp() {
  unfinished_.reset();
  Cancel();
}

void StreamCall::Read(bool whole_soon) {
  CHECK(is_open());
  if (whole_soon) {
    unfinished_ = calls().unfinished.Add(this, calls().clock->Now());
  }
  stream_.Read(&message_, read_.Begin());
}

void StreamCall::Write(const grpc::ByteBuffer& message, grpc::WriteOptions options) {
  CHECK(is_open());
  stream_.Write(message, options, write_.Begin());
}

void StreamCall::WriteAndFinish(const grpc::ByteBuffer& message) {
  CHECK(is_open() && !writing());
  finishing_begun_ = true;
  stream_.WriteAndFinish(message, grpc::WriteOptions(), grpc::Status::OK, finish_.Begin());
}

void StreamCall::Finish(const grpc::Status& status) {
  CHECK(is_open() && !writing());
  finishing_begun_ = true;
  stream_.Finish(status, finish_.Begin());
}

void StreamCall::Fail(const absl::Status& error) {
  CHECK(!error.ok());
  if (const std::optional<int> pushback = RetryPushbackMs(error); pushback.has_value()) {
    context_.AddTrailingMetadata("grpc-retry-pushback-ms", absl::StrCat(*pushback));
  }
  Finish(ToGrpcStatus(error));
}

void StreamCall::DeleteIfOver() {
  for (const Tag* tag : {&announce_, &read_, &write_, &finish_, &done_}) {
    if (tag->pending()) {
      return;
    }
  }
  // One that is open and awaits nothing now has something to begin, unless nobody can any more.
  if (left_over_ || (finishing_begun_ && !IsAwaited())) {
    delete this;
  }
}

}  // namespace raftkv::server
