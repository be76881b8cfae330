// UnaryCall is one call of a unary client API method, as bytes: parsing is ours, so that a request
// that does not parse and one with unknown fields get answers of their own.
#pragma once

#include <google/protobuf/message.h>
#include <grpc/support/time.h>
#include <grpcpp/server_context.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/status.h"

#include "base/clock.h"
#include "server/limits.h"
#include "server/loop/answer_backlog.h"
#include "server/loop/api_call.h"
#include "server/loop/call_counts.h"
#include "server/loop/event_loop.h"
#include "server/loop/operation.h"
#include "server/loop/request_stats.h"
#include "server/loop/unary_service.h"
#include "server/loop/unfinished_requests.h"

namespace raftkv::server {

// What the calls of the client port share. Confined to the loop.
struct CallAccounting {
  explicit CallAccounting(uint64_t unsent_answer_bytes_max) : backlog(unsent_answer_bytes_max) {}

  const MonotonicClock* clock = nullptr;
  // Of calls that come without a deadline.
  MonotonicNanos default_timeout = 0;
  // A stop waits for these.
  uint64_t in_flight = 0;
  AnswerBacklog backlog;
  UnfinishedRequests unfinished;
  // Hears of each call that was answered; null: nobody counts them.
  RequestStats* requests = nullptr;
};

// How long before a deadline that is `left` away an answer must leave to arrive in time: a share of
// the time, and the tick that it may be late.
MonotonicNanos AnswerMargin(MonotonicNanos left);

// From `now` to a call's deadline: 0 when it is past, kNever when it is beyond what nanoseconds can
// count. REQUIRES: both are of one clock.
MonotonicNanos TimeUntil(gpr_timespec deadline, gpr_timespec now);

// Confined to the loop. Deletes itself after its last event; exactly one of Finish and Fail must be
// called.
class UnaryCall final : public OperatedCall, public ApiCall, private UnfinishedRequests::Request {
 public:
  // Which method of a service it is, and what handles a call. Outlives its calls.
  struct Method {
    UnaryService* service = nullptr;
    int number = 0;
    std::function<void(UnaryCall*)> handle;
    // What a call is answered with when too many answers wait already; a write is done by then.
    absl::Status (*unsendable)() = nullptr;
    CallCounts* counts = nullptr;
    RequestKind kind = RequestKind::kOther;
    grpc::ServerCompletionQueue* queue = nullptr;
    CallAccounting* accounting = nullptr;
  };

  // Announces `count` calls; each announces its successor when it arrives.
  static void Announce(const Method& method, int count);

  // Parses the request and looks for fields that this version does not know. Fails the call and
  // returns false when either goes wrong.
  [[nodiscard]] bool Parse(google::protobuf::Message* request);

  MonotonicNanos AnswerBy() const override;
  void SetUnsendable(absl::Status (*unsendable)()) override { unsendable_ = unsendable; }
  // An answer that the client has not taken by the deadline, or for as long as a call without one
  // would be waited for, is given up.
  void Finish(const google::protobuf::Message& response) override;
  void Fail(const absl::Status& error) override;

 private:
  // Until it is handled, the call is not counted as in flight: nothing was begun.
  enum class State { kAnnounced, kReading, kHandling, kFinishing, kOver };

  explicit UnaryCall(const Method& method);
  void OnArrived(bool ok);
  void OnRead(bool ok);
  void OnFinished(bool ok);
  bool IsOver() const override { return state_ == State::kOver; }
  void GiveUp() override;
  // It is handled from now on.
  void Begin(uint64_t request_bytes);
  void CountAnswer(absl::StatusCode code, uint64_t answer_bytes);
  MonotonicNanos ClientsDeadline() const;

  const Method& method_;
  absl::Status (*unsendable_)();
  State state_ = State::kAnnounced;
  grpc::ServerContext context_;
  grpc::ByteBuffer request_;
  UnaryService::Stream stream_;
  Operation<UnaryCall> announcement_{this, &UnaryCall::OnArrived};
  // May come back after the call was given up.
  Operation<UnaryCall> read_{this, &UnaryCall::OnRead};
  Operation<UnaryCall> finish_{this, &UnaryCall::OnFinished};
  // When the client stops waiting, or stops being waited for when it did not say.
  // Set when the call arrives.
  MonotonicNanos deadline_ = 0;
  // When its request was there, and so it was handled.
  MonotonicNanos begun_at_ = 0;
  // While the request is awaited.
  std::optional<UnfinishedRequests::Ticket> unfinished_;
  bool handled_ = false;
  // While the answer is on its way.
  std::optional<AnswerBacklog::Ticket> ticket_;
};

}  // namespace raftkv::server
