#include "server/api/watch_service.h"

#include <glog/logging.h>
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "base/status_macros.h"
#include "kv/errors.h"
#include "kv/stored_record.h"
#include "server/api/key_value.h"
#include "server/api/request_checks.h"
#include "server/limits.h"
#include "server/loop/grpc_error.h"
#include "server/loop/message_bytes.h"
#include "server/loop/unknown_fields.h"

namespace raftkv::server {

using google::protobuf::util::TimeUtil;
using log::v1::StoredKeyValue;

namespace {

constexpr MonotonicNanos kHeartbeatMin = 100 * kNanosPerMilli;
constexpr MonotonicNanos kHeartbeatMax = 3600 * kNanosPerSecond;
// Of the keys that the ranges of all watches are made of.
constexpr uint64_t kRangeBytesMax = 32 * kMiB;

uint64_t BytesOf(const std::vector<kv::KeyInterval>& intervals) {
  uint64_t bytes = 0;
  for (const kv::KeyInterval& interval : intervals) {
    bytes += sizeof(interval) + interval.start.size() + interval.end.size();
  }
  return bytes;
}

// Overlapping ones become one, so that no key is told twice.
std::vector<kv::KeyInterval> Merged(std::vector<kv::KeyInterval> intervals) {
  std::sort(intervals.begin(), intervals.end(),
            [](const kv::KeyInterval& a, const kv::KeyInterval& b) { return a.start < b.start; });
  std::vector<kv::KeyInterval> merged;
  for (kv::KeyInterval& interval : intervals) {
    if (!merged.empty() && (merged.back().end.empty() || interval.start < merged.back().end)) {
      std::string& end = merged.back().end;
      if (!end.empty() && (interval.end.empty() || interval.end > end)) {
        end = std::move(interval.end);
      }
      continue;
    }
    merged.push_back(std::move(interval));
  }
  return merged;
}

absl::StatusOr<kv::HistoryEventType> TypeOf(int type) {
  switch (type) {
    case v1::EVENT_TYPE_PUT:
      return kv::HistoryEventType::kPut;
    case v1::EVENT_TYPE_DELETE:
      return kv::HistoryEventType::kDelete;
    case v1::EVENT_TYPE_EXPIRE:
      return kv::HistoryEventType::kExpire;
    default:
      return kv::BadEventTypeError();
  }
}

v1::EventType ToProto(kv::HistoryEventType type) {
  switch (type) {
    case kv::HistoryEventType::kPut:
      return v1::EVENT_TYPE_PUT;
    case kv::HistoryEventType::kDelete:
      return v1::EVENT_TYPE_DELETE;
    case kv::HistoryEventType::kExpire:
      return v1::EVENT_TYPE_EXPIRE;
  }
  return v1::EVENT_TYPE_UNSPECIFIED;
}

void FillEvent(const kv::HistoryEvent& event, ValueForm form, bool with_previous,
               raft::ClusterMillis now, v1::Event* proto) {
  proto->set_type(ToProto(event.type));
  if (event.type == kv::HistoryEventType::kPut) {
    FillKeyValue(kv::Stored(event.key, event.record), form, now, proto->mutable_kv());
  } else {
    proto->mutable_kv()->set_key(event.key);
    proto->mutable_kv()->set_mod_revision(event.revision);
  }
  if (with_previous && event.previous.has_value()) {
    FillKeyValue(kv::Stored(event.key, *event.previous), form, now, proto->mutable_previous());
  }
}

}  // namespace

absl::StatusOr<WatchPlan> CheckWatch(const v1::WatchRequest& request) {
  WatchPlan plan;
  if (request.ranges_size() == 0 || request.ranges_size() > kWatchRangesMax) {
    return kv::BadRangeError("ranges", absl::StrCat("there are ", request.ranges_size(),
                                                    "; give 1 to ", kWatchRangesMax));
  }
  for (int i = 0; i < request.ranges_size(); ++i) {
    RAFTKV_ASSIGN_OR_RETURN(
        kv::KeyInterval interval,
        SelectedInterval(/*has_range=*/true, request.ranges(i), absl::StrCat("ranges[", i, "]")));
    plan.options.intervals.push_back(std::move(interval));
  }
  plan.options.intervals = Merged(std::move(plan.options.intervals));
  if (request.start_revision() < 0) {
    return kv::BadRevisionError("start_revision", request.start_revision());
  }
  if (request.start_revision() > 0 && request.initial_state()) {
    return kv::TwoStartsError(request.start_revision());
  }
  plan.options.from = request.start_revision();
  for (const int type : request.event_types()) {
    RAFTKV_ASSIGN_OR_RETURN(const kv::HistoryEventType wanted, TypeOf(type));
    plan.options.types.insert(wanted);
  }
  if (request.has_heartbeat_interval()) {
    const auto& interval = request.heartbeat_interval();
    const bool is_far = interval.seconds() < 0 ||
                        interval.seconds() > kHeartbeatMax / kNanosPerSecond ||
                        interval.nanos() < 0 || interval.nanos() >= kNanosPerSecond;
    plan.heartbeat = is_far ? 0 : TimeUtil::DurationToNanoseconds(interval);
    if (plan.heartbeat < kHeartbeatMin || plan.heartbeat > kHeartbeatMax) {
      return kv::BadHeartbeatError(DurationText(interval));
    }
  }
  plan.options.with_previous = request.return_previous();
  plan.initial_state = request.initial_state();
  plan.keys_only = request.keys_only();
  plan.as_text = request.as_text();
  return plan;
}

class WatchService::Stream final : public StreamCall {
 public:
  explicit Stream(WatchService* service) : StreamCall(service->watch_method_), service_(*service) {}

  ~Stream() override { service_.watching_.erase(this); }

  // It is the first of those that wait for room.
  void OnRoom() { SendPrepared(); }

  int64_t progress() const { return watch_->progress(); }
  void FillStatus(v1::WatcherStatus* status) {
    status->set_client(context().peer());
    *status->mutable_range() = first_range_;
    status->set_range_count(static_cast<int32_t>(range_count_));
    status->set_progress_revision(progress());
    // One that begins later is ahead.
    status->set_behind(std::max<int64_t>(service_.store_.revision() - progress(), 0));
    *status->mutable_age() = TimeUtil::NanosecondsToDuration(service_.clock_.Now() - began_at_);
  }

  // Its time has come.
  void OnTimer() {
    timer_.reset();
    if (is_open() && writing() && tells_initial_) {
      // It takes nothing, and holds a view, by which the disk keeps what others overwrite.
      Cancel();
    } else if (is_idle() && awaits_batch_ && service_.store_.raft().is_caught_up()) {
      v1::WatchResponse response = MakeResponse();
      response.set_progress_revision(watch_->progress());
      Send(response);
    }
    SetHeartbeat();
  }

 private:
  void OnBegun() override {
    new Stream(&service_);
    Read(/*whole_soon=*/true);
  }

  void OnRead(bool ok, grpc::ByteBuffer* message) override {
    v1::WatchRequest request;
    if (!ok) {
      End(kv::UnfinishedError());
      return;
    }
    const bool is_well_formed = ParseMessage(message, &request);
    message->Clear();  // It would stay as long as the watch.
    if (!is_well_formed) {
      End(kv::MalformedError(request.GetDescriptor()->full_name()));
      return;
    }
    if (const absl::Status begun = Prepare(request); !begun.ok()) {
      End(begun);
      return;
    }
    v1::WatchResponse first;
    service_.header_(plan_.options.from - 1, first.mutable_header());
    SetHeartbeat();
    Send(first);
  }

  void OnWritten(bool ok) override {
    DropTicket();
    if (tells_initial_) {
      ClearTimer();
      SetHeartbeat();
    }
    if (!ok || is_gone()) {
      End(absl::CancelledError("the client is gone"));
    } else {
      GoOn();
    }
  }

  void OnGone() override {
    if (is_idle()) {
      End(absl::CancelledError("the client is gone"));
    }
  }

  bool IsAwaited() const override { return reads_initial_; }

  // Whether it has its request and may write.
  bool is_idle() const { return is_open() && !reading() && !writing(); }

  absl::Status Prepare(const v1::WatchRequest& request) {
    RAFTKV_RETURN_IF_ERROR(CheckFieldsAreKnown(request));
    RAFTKV_ASSIGN_OR_RETURN(plan_, CheckWatch(request));
    if (plan_.options.from == 0) {
      plan_.options.from = service_.store_.revision() + 1;
    }
    const uint64_t range_bytes = BytesOf(plan_.options.intervals);
    if (range_bytes > kRangeBytesMax - service_.range_bytes_) {
      return kv::TooManyWatchesError(service_.hub_.watches());
    }
    RAFTKV_ASSIGN_OR_RETURN(watch_, service_.hub_.Begin(plan_.options));
    range_bytes_ = range_bytes;
    service_.range_bytes_ += range_bytes;
    first_range_ = request.ranges(0);
    range_count_ = request.ranges_size();
    began_at_ = service_.clock_.Now();
    service_.watching_.insert(this);
    if (plan_.initial_state) {
      service_.views_.emplace(this, service_.store_.TakeView());
      tells_initial_ = true;
    }
    return absl::OkStatus();
  }

  // Nothing is being written: prepares what comes next.
  void GoOn() {
    if (batch_.has_value()) {
      OnBatch(*std::exchange(batch_, std::nullopt));
    } else if (tells_initial_) {
      ReadInitial();
    } else if (!awaits_batch_) {
      awaits_batch_ = true;
      watch_->Next([this](absl::StatusOr<kv::WatchBatch> batch) {
        awaits_batch_ = false;
        if (is_idle()) {
          OnBatch(std::move(batch));
        } else {
          batch_ = std::move(batch);  // A heartbeat is on its way.
        }
        DeleteIfOver();
      });
    }
  }

  void ReadInitial() {
    const auto view = service_.views_.find(this);
    if (view == service_.views_.end()) {
      End(kv::ShuttingDownError());
      return;
    }
    kv::ScanOptions scan{.interval = plan_.options.intervals[initial_interval_],
                         .keys_max = kWatchPageKeysMax,
                         .bytes_max = kWatchPageBytesMax,
                         .keys_only = plan_.keys_only};
    if (!initial_after_.empty()) {
      scan.interval.start = initial_after_ + '\0';
    }
    reads_initial_ = true;
    service_.store_.ScanView(view->second, std::move(scan),
                             DeadlineAfter(service_.clock_.Now(), calls().default_timeout),
                             [this](absl::StatusOr<kv::ScanResult> page) {
                               reads_initial_ = false;
                               if (is_idle()) {
                                 OnInitial(std::move(page));
                               }
                               DeleteIfOver();
                             });
  }

  void OnInitial(absl::StatusOr<kv::ScanResult> page) {
    if (!page.ok()) {
      End(page.status());
      return;
    }
    v1::WatchResponse response = MakeResponse();
    if (page->more) {
      initial_after_ = page->rows.back().key();
    } else {
      initial_after_.clear();
      ++initial_interval_;
    }
    if (initial_interval_ == plan_.options.intervals.size()) {
      service_.views_.erase(this);
      tells_initial_ = false;
      response.set_initial_complete(true);
    }
    for (StoredKeyValue& row : page->rows) {
      FillKeyValue(std::move(row), form(), service_.store_.Now(), response.add_initial_kvs());
    }
    Send(response);
  }

  void OnBatch(absl::StatusOr<kv::WatchBatch> batch) {
    if (!batch.ok()) {
      End(batch.status());
      return;
    }
    v1::WatchResponse response = MakeResponse();
    for (const auto& event : batch->events) {
      FillEvent(*event, form(), plan_.options.with_previous, service_.store_.Now(),
                response.add_events());
    }
    response.set_partial_revision(batch->partial);
    response.set_progress_revision(batch->through);
    Send(response);
  }

  ValueForm form() const { return plan_.keys_only ? ValueForm::None() : ValueForm(plan_.as_text); }

  v1::WatchResponse MakeResponse() const {
    v1::WatchResponse response;
    service_.header_(service_.store_.revision(), response.mutable_header());
    return response;
  }

  void Send(const v1::WatchResponse& response) {
    to_send_ = SerializeMessage(response);
    SendPrepared();
  }

  void SendPrepared() {
    const uint64_t bytes = to_send_->Length();
    const bool is_small = bytes < kSmallAnswerBytes;
    AnswerBacklog& backlog = calls().backlog;
    const bool is_next = service_.waiting_.empty() || service_.waiting_.front() == this;
    if (!is_small && !(is_next && backlog.HasRoomFor(bytes + service_.unread_bytes_))) {
      if (!waits_at_.has_value()) {
        waits_at_ = service_.waiting_.insert(service_.waiting_.end(), this);
      }
      return;
    }
    StopWaiting();
    const MonotonicNanos patience_ends =
        DeadlineAfter(service_.clock_.Now(), calls().default_timeout);
    if (!is_small) {
      service_.unread_bytes_ += bytes;
      // Who does not read keeps what it has as long as nobody else needs the room.
      ticket_ = backlog.Add(bytes, patience_ends, [this] {
        if (!service_.waiting_.empty() || !calls().backlog.HasRoomFor(kWatchBacklogSlackBytes)) {
          Cancel();
        }
      });
    }
    if (tells_initial_) {
      SetTimer(patience_ends);
    }
    Write(*std::exchange(to_send_, std::nullopt));
  }

  void StopWaiting() {
    if (waits_at_.has_value()) {
      service_.waiting_.erase(*std::exchange(waits_at_, std::nullopt));
    }
  }

  void DropTicket() {
    if (ticket_.has_value()) {
      service_.unread_bytes_ -= (*ticket_)->second.bytes;
      calls().backlog.Remove(*std::exchange(ticket_, std::nullopt));
    }
  }

  void SetHeartbeat() {
    if (plan_.heartbeat > 0 && !timer_.has_value() && is_open()) {
      SetTimer(service_.clock_.Now() + plan_.heartbeat);
    }
  }

  void SetTimer(MonotonicNanos at) {
    ClearTimer();
    timer_ = at;
    service_.timers_.emplace(at, this);
  }

  void ClearTimer() {
    if (timer_.has_value()) {
      service_.timers_.erase({*std::exchange(timer_, std::nullopt), this});
    }
  }

  void End(const absl::Status& error) {
    service_.watching_.erase(this);
    ClearTimer();
    StopWaiting();
    service_.range_bytes_ -= std::exchange(range_bytes_, 0);
    to_send_.reset();
    service_.views_.erase(this);
    Fail(error);
  }

  WatchService& service_;
  WatchPlan plan_;
  uint64_t range_bytes_ = 0;
  std::unique_ptr<kv::Watch> watch_;
  // For FillStatus.
  v1::KeyRange first_range_;
  int range_count_ = 0;
  MonotonicNanos began_at_ = 0;
  bool awaits_batch_ = false;
  // Came while something else was written.
  std::optional<absl::StatusOr<kv::WatchBatch>> batch_;
  // Of the initial state the intervals before this one are told, and this one up to a key.
  bool tells_initial_ = false;
  size_t initial_interval_ = 0;
  std::string initial_after_;
  bool reads_initial_ = false;

  // Waits, where it found no room among the answers that are not sent yet.
  std::optional<grpc::ByteBuffer> to_send_;
  std::optional<std::list<Stream*>::iterator> waits_at_;
  std::optional<AnswerBacklog::Ticket> ticket_;
  std::optional<MonotonicNanos> timer_;
};

WatchService::WatchService(kv::Store* store, kv::WatchHub* hub, const MonotonicClock* clock,
                           ResponseHeaderFiller header)
    : store_(*store), hub_(*hub), clock_(*clock), header_(std::move(header)) {
  watch_method_.number = service_.AddStream("Watch");
}

WatchService::~WatchService() = default;

void WatchService::Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting) {
  service_.Start(queue, accounting);
  watch_method_.service = service_.service();
  watch_method_.queue = queue;
  watch_method_.accounting = accounting;
  new Stream(this);
}

void WatchService::End() {
  hub_.End();
  views_.clear();
}

void WatchService::FillStatus(v1::WatchStatus* status) const {
  status->set_count(static_cast<int64_t>(watching_.size()));
  std::vector<std::pair<int64_t, Stream*>> slowest;
  slowest.reserve(watching_.size());
  for (Stream* stream : watching_) {
    slowest.emplace_back(stream->progress(), stream);
  }
  const size_t told = std::min(slowest.size(), kSlowestWatchesMax);
  std::partial_sort(slowest.begin(), slowest.begin() + static_cast<ptrdiff_t>(told), slowest.end());
  slowest.resize(told);
  for (const auto& [progress, stream] : slowest) {
    stream->FillStatus(status->add_slowest());
  }
}

bool WatchService::OnTurn() {
  size_t left = kWatchesPerTurnMax;
  for (; left > 0 && !waiting_.empty(); --left) {
    Stream* const next = waiting_.front();
    next->OnRoom();
    if (!waiting_.empty() && waiting_.front() == next) {
      break;  // There is none yet.
    }
  }
  if (timers_.empty()) {
    return left == 0;
  }
  const MonotonicNanos now = clock_.Now();
  for (; left > 0; --left) {
    if (timers_.empty() || timers_.begin()->first > now) {
      return false;
    }
    Stream* const stream = timers_.begin()->second;
    timers_.erase(timers_.begin());
    stream->OnTimer();
  }
  return true;
}

}  // namespace raftkv::server
