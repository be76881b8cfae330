#include "server/api/scans.h"

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

// One scan.
class Scans::Call final : public StreamCall {
 public:
  explicit Call(Scans* scans) : StreamCall(scans->method_), scans_(*scans) {}
  ~Call() override { scans_.running_.erase(this); }

  // Goes on as far as it can.
  void Pump() {
    if (!is_open() || reading()) {
      return;
    }
    LetGoOfState();
    if (writing()) {
      return;
    }
    if (!failed_.ok() || is_gone() || scans_.ended_) {
      EndEarly();
      return;
    }
    if (ahead_.has_value() && calls().backlog.HasRoomFor(BytesInBacklog(*ahead_))) {
      Send(*std::exchange(ahead_, std::nullopt));
    }
    MaybeRead();
  }

 private:
  void OnBegun() override {
    new Call(&scans_);
    Read(/*whole_soon=*/true);
  }

  void OnGone() override { Pump(); }

  void OnFinished(bool /*ok*/) override { RemoveTicket(); }

  bool IsAwaited() const override { return awaited_ > 0; }

  // All of a scan's messages count, since each may be the one that the client does not take.
  static uint64_t BytesInBacklog(const grpc::ByteBuffer& message) {
    return std::max<uint64_t>(message.Length(), kSmallAnswerBytes);
  }

  void OnRead(bool ok, grpc::ByteBuffer* message) override {
    failed_ = ok ? Prepare(message) : kv::UnfinishedError();
    if (!failed_.ok()) {
      Pump();
      return;
    }
    scans_.running_.insert(this);
    // One for the answer, and one for this function: the answer may come before it returns.
    awaited_ += 2;
    scans_.store_.BeginWalk(
        plan_.freshness, [this](absl::StatusOr<kv::Store::Walk> walk) { OnWalk(std::move(walk)); });
    --awaited_;
    Pump();
  }

  absl::Status Prepare(grpc::ByteBuffer* message) {
    v1::ScanRequest request;
    if (!ParseMessage(message, &request)) {
      return kv::MalformedError(request.GetDescriptor()->full_name());
    }
    RAFTKV_RETURN_IF_ERROR(CheckFieldsAreKnown(request));
    // The whole may take long; for the beginning there is as long as for another call.
    const MonotonicNanos now = calls().clock->Now();
    const MonotonicNanos left =
        std::min(calls().default_timeout, std::max<MonotonicNanos>(deadline() - now, 0));
    RAFTKV_ASSIGN_OR_RETURN(plan_,
                            CheckScan(request, DeadlineAfter(now, left - AnswerMargin(left))));
    if (scans_.store_.draining() || scans_.ended_) {
      return kv::ShuttingDownError();
    }
    return scans_.running_.size() < kScansMax ? absl::OkStatus() : kv::TooManyScansError(kScansMax);
  }

  void OnWalk(absl::StatusOr<kv::Store::Walk> walk) {
    --awaited_;
    if (!walk.ok()) {
      failed_ = walk.status();
    } else if (is_open()) {  // Else nobody lets go of it any more.
      walk_ = std::move(walk->keys);
      scans_.header_(walk->at, &header_);
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
    if (walk_ == nullptr || awaited_ > 0 || ahead_.has_value() || is_whole_ || !is_open()) {
      return;
    }
    kv::ScanOptions chunk = plan_.chunk;
    chunk.keys_max = std::min(plan_.keys_left, kScanChunkKeysMax);
    awaited_ += 2;  // As in Begin.
    scans_.store_.ReadWalk(
        walk_.get(), std::move(chunk), DeadlineAfter(calls().clock->Now(), calls().default_timeout),
        [this](absl::StatusOr<kv::ScanResult> keys) { OnKeys(std::move(keys)); });
    --awaited_;
    if (!failed_.ok()) {
      Pump();
    }
  }

  void OnKeys(absl::StatusOr<kv::ScanResult> keys) {
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
        [this] { Cancel(); });
    if (is_whole_) {
      Leave();
      WriteAndFinish(message);
      return;
    }
    Write(message);
  }

  void OnWritten(bool ok) override {
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

  void EndEarly() {
    Leave();
    if (!failed_.ok()) {
      Fail(failed_);
    } else {
      Fail(is_gone() ? absl::CancelledError("the client is gone") : kv::ShuttingDownError());
    }
  }

  void Leave() {
    scans_.running_.erase(this);
    ahead_.reset();
    // What is being read holds on to the state by itself.
    if (walk_ != nullptr) {
      scans_.store_.LetGo(walk_.get());
    }
  }

  Scans& scans_;
  // While a message is on its way.
  std::optional<AnswerBacklog::Ticket> ticket_;
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
  method_ = {.service = service, .number = method, .queue = queue, .accounting = accounting};
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
