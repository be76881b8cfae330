#include "server/api/scans.h"

#include <glog/logging.h>

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "base/status_macros.h"
#include "kv/errors.h"
#include "server/api/request_checks.h"
#include "server/limits.h"
#include "server/loop/event_loop.h"
#include "server/loop/grpc_error.h"
#include "server/loop/message_bytes.h"
#include "server/loop/unknown_fields.h"

namespace raftkv::server {

absl::StatusOr<ScanPlan> CheckScan(const v1::ScanRequest& request, MonotonicNanos fresh_by) {
  ScanPlan plan;
  RAFTKV_ASSIGN_OR_RETURN(plan.chunk.interval,
                          SelectedInterval(request.has_range(), request.range()));
  RAFTKV_ASSIGN_OR_RETURN(plan.freshness, ReadFreshnessOf(request, fresh_by));
  if (request.limit() < 0) {
    return kv::BadLimitError(request.limit());
  }
  plan.keys_left = request.limit() == 0 ? std::numeric_limits<uint64_t>::max()
                                        : static_cast<uint64_t>(request.limit());
  plan.chunk.bytes_max = kScanChunkBytes;
  plan.chunk.keys_only = request.keys_only();
  plan.chunk.descending = request.descending();
  plan.form = request.keys_only() ? ValueForm::None() : ValueForm(request.as_text());
  return plan;
}

// One scan. Deletes itself once its last operation has ended, gRPC has said that the call is done,
// and nothing is awaited from elsewhere.
class Scans::Call final : public EventTag, private UnfinishedRequests::Request {
 public:
  explicit Call(Scans* scans) : scans_(*scans), stream_(&context_) {
    context_.AsyncNotifyWhenDone(&done_tag_);
    scans_.service_->Announce(scans_.method_, &context_, &stream_, scans_.queue_, this);
  }

  void OnEvent(bool ok) override {
    switch (state_) {
      case State::kAnnounced:
        if (!ok) {  // The server is shutting down.
          delete this;
          return;
        }
        new Call(&scans_);
        state_ = State::kReading;
        unfinished_ = calls().unfinished.Add(this, calls().clock->Now());
        stream_.Read(&request_, this);
        break;
      case State::kReading:
        if (unfinished_.has_value()) {
          calls().unfinished.Remove(*std::exchange(unfinished_, std::nullopt));
        }
        Begin(ok);
        break;
      case State::kSending:
        OnWritten(ok);
        break;
      case State::kFinishing:
        RemoveTicket();
        state_ = State::kFinished;
        break;
      case State::kFinished:
        LOG(FATAL) << "an event for a scan that is over";
    }
    DeleteIfOver();
  }

  void OnLeftOver(bool ok) override {
    if (state_ == State::kAnnounced && !ok) {
      delete this;
      return;
    }
    state_ = State::kFinished;
    awaited_ = 0;  // The pool has stopped.
    DeleteIfOver();
  }

  // Goes on as far as it can.
  void Pump() {
    if (state_ != State::kSending) {
      return;
    }
    LetGoOfState();
    if (writing_) {
      return;
    }
    if (!failed_.ok() || done_ || scans_.ended_) {
      Finish();
      return;
    }
    if (ahead_.has_value() && calls().backlog.HasRoomFor(BytesInBacklog(*ahead_))) {
      Send(*std::exchange(ahead_, std::nullopt));
    }
    MaybeRead();
  }

 private:
  enum class State { kAnnounced, kReading, kSending, kFinishing, kFinished };

  class DoneTag final : public EventTag {
   public:
    explicit DoneTag(Call* call) : call_(call) {}
    void OnEvent(bool /*ok*/) override {
      call_->done_ = true;
      call_->Pump();
      call_->DeleteIfOver();
    }
    void OnLeftOver(bool /*ok*/) override {
      call_->done_ = true;
      call_->DeleteIfOver();
    }

   private:
    Call* const call_;
  };

  CallAccounting& calls() { return *scans_.accounting_; }

  // All of a scan's messages count, since each may be the one that the client does not take.
  static uint64_t BytesInBacklog(const grpc::ByteBuffer& message) {
    return std::max<uint64_t>(message.Length(), kSmallAnswerBytes);
  }

  void GiveUp() override {
    unfinished_.reset();
    context_.TryCancel();
  }

  void Begin(bool ok) {
    state_ = State::kSending;
    if (!ok) {
      failed_ = kv::UnfinishedError();
      Pump();
      return;
    }
    failed_ = Prepare();
    if (!failed_.ok()) {
      Pump();
      return;
    }
    scans_.running_.insert(this);
    // One for the answer, and one for this function: the answer may come before it returns.
    awaited_ += 2;
    scans_.store_.BeginWalk(plan_.freshness, [this](absl::StatusOr<kv::Store::Walk> walk) {
      OnBegun(std::move(walk));
    });
    --awaited_;
    Pump();
  }

  absl::Status Prepare() {
    v1::ScanRequest request;
    if (!ParseMessage(&request_, &request)) {
      return kv::MalformedError(request.GetDescriptor()->full_name());
    }
    RAFTKV_RETURN_IF_ERROR(CheckFieldsAreKnown(request));
    // The whole may take long; for the beginning there is as long as for another call.
    const gpr_timespec deadline = context_.raw_deadline();
    const MonotonicNanos left =
        std::min(calls().default_timeout, TimeUntil(deadline, gpr_now(deadline.clock_type)));
    RAFTKV_ASSIGN_OR_RETURN(
        plan_, CheckScan(request, DeadlineAfter(calls().clock->Now(), left - AnswerMargin(left))));
    if (scans_.store_.draining() || scans_.ended_) {
      return kv::ShuttingDownError();
    }
    return scans_.running_.size() < kScansMax ? absl::OkStatus() : kv::TooManyScansError(kScansMax);
  }

  void OnBegun(absl::StatusOr<kv::Store::Walk> walk) {
    --awaited_;
    if (walk.ok()) {
      walk_ = std::move(walk->keys);
      scans_.header_(walk->at, &header_);
    } else {
      failed_ = walk.status();
    }
    Pump();
    DeleteIfOver();
  }

  // Of one that was held too long; and of any, which must not outlive the storage, in the end.
  void LetGoOfState() {
    const MonotonicNanos held_max = kScanViewHeldSeconds * kNanosPerSecond;
    if (walk_ != nullptr &&
        (scans_.ended_ || (awaited_ == 0 && walk_->source() != nullptr &&
                           calls().clock->Now() - walk_->taken_at() >= held_max))) {
      scans_.store_.LetGo(walk_.get());
    }
  }

  void MaybeRead() {
    if (walk_ == nullptr || awaited_ > 0 || ahead_.has_value() || is_whole_ ||
        state_ != State::kSending) {
      return;
    }
    kv::ScanOptions chunk = plan_.chunk;
    chunk.keys_max = std::min(plan_.keys_left, kScanChunkKeysMax);
    awaited_ += 2;  // As in Begin.
    scans_.store_.ReadWalk(
        walk_.get(), std::move(chunk), DeadlineAfter(calls().clock->Now(), calls().default_timeout),
        [this](absl::StatusOr<kv::ScanResult> keys) { OnRead(std::move(keys)); });
    --awaited_;
    if (!failed_.ok()) {
      Pump();
    }
  }

  void OnRead(absl::StatusOr<kv::ScanResult> keys) {
    --awaited_;
    if (!keys.ok()) {
      failed_ = keys.status();
    } else {
      Take(*std::move(keys));
    }
    if (awaited_ == 0) {
      Pump();
    }
    DeleteIfOver();
  }

  void Take(kv::ScanResult keys) {
    plan_.keys_left -= keys.rows.size();
    is_whole_ = !keys.more || plan_.keys_left == 0;
    if (!keys.rows.empty() && plan_.chunk.descending) {
      plan_.chunk.interval.end = keys.rows.back().key();
    } else if (!keys.rows.empty()) {
      plan_.chunk.interval.start = absl::StrCat(keys.rows.back().key(), absl::string_view("\0", 1));
    }
    v1::ScanResponse response;
    *response.mutable_header() = header_;
    const raft::ClusterMillis now = scans_.store_.Now();
    for (log::v1::StoredKeyValue& row : keys.rows) {
      FillKeyValue(std::move(row), plan_.form, now, response.add_kvs());
    }
    ahead_ = SerializeMessage(response);
  }

  void Send(const grpc::ByteBuffer& message) {
    ticket_ = calls().backlog.Add(
        BytesInBacklog(message),
        DeadlineAfter(calls().clock->Now(), kScanStallSeconds * kNanosPerSecond),
        [this] { context_.TryCancel(); });
    if (is_whole_) {
      Leave();
      state_ = State::kFinishing;
      stream_.WriteAndFinish(message, grpc::WriteOptions(), grpc::Status::OK, this);
      return;
    }
    writing_ = true;
    stream_.Write(message, this);
  }

  void OnWritten(bool ok) {
    writing_ = false;
    RemoveTicket();
    if (!ok && failed_.ok()) {
      failed_ = absl::CancelledError("the client is gone, or takes nothing");
    }
    Pump();
  }

  void RemoveTicket() {
    if (ticket_.has_value()) {
      calls().backlog.Remove(*std::exchange(ticket_, std::nullopt));
    }
  }

  void Finish() {
    Leave();
    state_ = State::kFinishing;
    absl::Status error = failed_;
    if (error.ok()) {
      error = done_ ? absl::CancelledError("the client is gone") : kv::ShuttingDownError();
    }
    if (const std::optional<int> pushback = RetryPushbackMs(error); pushback.has_value()) {
      context_.AddTrailingMetadata("grpc-retry-pushback-ms", absl::StrCat(*pushback));
    }
    stream_.Finish(ToGrpcStatus(error), this);
  }

  void Leave() {
    scans_.running_.erase(this);
    ahead_.reset();
    // What is being read holds on to the state by itself.
    if (walk_ != nullptr) {
      scans_.store_.LetGo(walk_.get());
    }
  }

  void DeleteIfOver() {
    if (state_ == State::kFinished && done_ && awaited_ == 0) {
      delete this;
    }
  }

  Scans& scans_;
  State state_ = State::kAnnounced;
  // gRPC says that the call is over, whatever is still to be written.
  bool done_ = false;
  DoneTag done_tag_{this};
  grpc::ServerContext context_;
  grpc::ByteBuffer request_;
  UnaryService::Stream stream_;
  std::optional<UnfinishedRequests::Ticket> unfinished_;
  // While a message is on its way.
  std::optional<AnswerBacklog::Ticket> ticket_;
  bool writing_ = false;
  absl::Status failed_;

  ScanPlan plan_;
  // Answers of the store that have yet to come.
  int awaited_ = 0;
  std::shared_ptr<kv::KeyWalk> walk_;
  v1::ResponseHeader header_;
  // The next message.
  std::optional<grpc::ByteBuffer> ahead_;
  // The end was read.
  bool is_whole_ = false;
};

Scans::Scans(kv::Store* store, ResponseHeaderFiller header)
    : store_(*store), header_(std::move(header)) {}

Scans::~Scans() = default;

void Scans::Start(UnaryService* service, int method, grpc::ServerCompletionQueue* queue,
                  CallAccounting* accounting) {
  service_ = service;
  method_ = method;
  queue_ = queue;
  accounting_ = accounting;
  new Call(this);
}

void Scans::OnTurn() {
  // A call may leave the set when it goes on.
  for (Call* call : std::set<Call*>(running_)) {
    call->Pump();
  }
}

void Scans::End() {
  ended_ = true;
  for (Call* call : std::set<Call*>(running_)) {
    call->Pump();
  }
}

}  // namespace raftkv::server
