#include "client/stream_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "client/convert.h"
#include "client/error_payload.h"
#include "client/errors.h"
#include "client/rpc.h"

namespace raftkv::client {
namespace {

constexpr size_t kWritesMax = 100'000;
// Ids are remembered for ten minutes from when a write is done.
constexpr absl::Duration kWriteTimeoutMax = absl::Minutes(9);

// How often late writes are looked for.
constexpr absl::Duration kLookInterval = absl::Milliseconds(200);
// Whether no endpoint will take a stream, if all say so.
bool IsRefusal(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kNotFound:
      return true;
    default:
      return false;
  }
}

// Whether a write that was answered with this is to be sent again after a while, though another
// call would fail: a load has time, and nobody waits for this write alone.
bool IsWorthWaiting(const absl::Status& status) {
  const std::string reason = ErrorReason(status);
  return reason == "OVERLOADED" || reason == "MEMBER_TOO_OLD";
}

absl::Status ErrorOf(const google::rpc::Status& error) {
  // What has no code is no success.
  const int code = error.code() == 0 ? static_cast<int>(absl::StatusCode::kUnknown) : error.code();
  return StatusFromRpc(code, error.message(), error.SerializeAsString());
}

}  // namespace

absl::Status StreamWriter::CheckOptions(const BulkWriterOptions& options) {
  if (options.writes_max < 1 || options.writes_max > kWritesMax) {
    return absl::InvalidArgumentError(
        absl::StrCat("writes_max is ", options.writes_max, "; it must be 1 to ", kWritesMax));
  }
  if (options.bytes_max < 1) {
    return absl::InvalidArgumentError("bytes_max must be at least 1");
  }
  if (options.timeout <= absl::ZeroDuration() || options.timeout > kWriteTimeoutMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "timeout is ", absl::FormatDuration(options.timeout),
        "; it must be more than 0 and at most ", absl::FormatDuration(kWriteTimeoutMax)));
  }
  if (options.silence_max <= absl::ZeroDuration() || options.silence_max > kWriteTimeoutMax) {
    return absl::InvalidArgumentError(absl::StrCat(
        "silence_max is ", absl::FormatDuration(options.silence_max),
        "; it must be more than 0 and at most ", absl::FormatDuration(kWriteTimeoutMax)));
  }
  return absl::OkStatus();
}

StreamWriter::StreamWriter(BulkWriterOptions options, StreamEndpoints endpoints)
    : options_(std::move(options)), endpoints_(std::move(endpoints)) {
  thread_ = std::thread([this] { Run(); });
}

StreamWriter::~StreamWriter() {
  {
    MutexLock lock(&mutex_);
    ends_ = true;
    changed_.NotifyAll();
    if (call_ != nullptr) {
      call_->Wake();
    }
  }
  thread_.join();
}

absl::Status StreamWriter::Put(absl::string_view key, absl::string_view value,
                               std::optional<absl::Duration> ttl) {
  PutOptions options;
  options.ttl = ttl;
  v1::BatchOp op;
  RAFTKV_ASSIGN_OR_RETURN(*op.mutable_put(), MakePutRequest(key, value, options));
  return Add(std::string(key), std::move(op));
}

absl::Status StreamWriter::Delete(absl::string_view key) {
  v1::BatchOp op;
  RAFTKV_ASSIGN_OR_RETURN(*op.mutable_delete_key(), MakeDeleteRequest(key, DeleteOptions()));
  return Add(std::string(key), std::move(op));
}

bool StreamWriter::HasRoomFor(size_t bytes) const {
  return writes_.empty() ||
         (writes_.size() < options_.writes_max && bytes_ + bytes <= options_.bytes_max);
}

absl::Status StreamWriter::Add(std::string key, v1::BatchOp op) {
  const size_t bytes = op.ByteSizeLong();
  MutexLock lock(&mutex_);
  while (broken_.ok() && !HasRoomFor(bytes)) {
    changed_.Wait(&mutex_);
  }
  RAFTKV_RETURN_IF_ERROR(broken_);
  const uint64_t number = next_number_++;
  ++counts_.added;
  const std::string request_id = absl::StrCat(endpoints_.request_id_prefix, absl::Hex(number));
  if (op.has_put()) {
    op.mutable_put()->set_request_id(request_id);
  } else {
    op.mutable_delete_key()->set_request_id(request_id);
  }
  const auto [last, is_first] = last_of_key_.try_emplace(key, number);
  if (is_first) {
    to_send_.insert(number);
  } else {
    writes_.at(std::exchange(last->second, number)).next = number;
  }
  bytes_ += bytes;
  Write& write = writes_[number];
  write.key = std::move(key);
  write.request.set_id(number);
  *write.request.mutable_op() = std::move(op);
  write.bytes = bytes;
  write.deadline = endpoints_.clock->Now() + absl::ToInt64Nanoseconds(options_.timeout);
  changed_.NotifyAll();
  if (std::exchange(sleeps_, false)) {
    call_->Wake();
  }
  return absl::OkStatus();
}

absl::Status StreamWriter::Flush() {
  MutexLock lock(&mutex_);
  const uint64_t end = next_number_;
  while (!writes_.empty() && writes_.begin()->first < end) {
    changed_.Wait(&mutex_);
  }
  return std::exchange(first_failure_, absl::OkStatus());
}

BulkCounts StreamWriter::counts() const {
  MutexLock lock(&mutex_);
  return counts_;
}

void StreamWriter::Run() {
  std::optional<Backoff> pauses(endpoints_.new_backoff());
  size_t failed_in_a_row = 0;
  size_t refused_in_a_row = 0;
  while (AwaitWork()) {
    const size_t endpoint = endpoints_.preferred();
    has_answered_ = false;
    absl::Status ended = endpoints_.endpoints[endpoint].stub->Connect(endpoints_.connect_timeout);
    if (ended.ok()) {
      ended = RunStream(endpoint);
    }
    if (has_answered_) {
      pauses.emplace(endpoints_.new_backoff());
      failed_in_a_row = 0;
      refused_in_a_row = 0;
    }
    if (ended.ok()) {
      continue;
    }
    TakeBack(ended);
    EndLate();
    endpoints_.turn_away_from(endpoint);
    refused_in_a_row = IsRefusal(ended) ? refused_in_a_row + 1 : 0;
    if (refused_in_a_row >= endpoints_.endpoints.size() ||
        ErrorReason(ended) == kReasonClusterMismatch) {
      EndAll(ended);
      return;
    }
    if (++failed_in_a_row % endpoints_.endpoints.size() == 0) {
      Pause(pauses->Next());
    }
  }
}

bool StreamWriter::AwaitWork() {
  MutexLock lock(&mutex_);
  while (writes_.empty() && !ends_) {
    changed_.Wait(&mutex_);
  }
  return !ends_;
}

void StreamWriter::Pause(absl::Duration time) {
  const MonotonicNanos until = endpoints_.clock->Now() + absl::ToInt64Nanoseconds(time);
  MutexLock lock(&mutex_);
  for (MonotonicNanos now = endpoints_.clock->Now(); now < until && !ends_;
       now = endpoints_.clock->Now()) {
    changed_.WaitFor(&mutex_, until - now);
  }
}

// OK: the writer ends.
absl::Status StreamWriter::RunStream(size_t endpoint) {
  v1::StreamResponse response;
  const std::unique_ptr<BidiCall> call =
      endpoints_.endpoints[endpoint].stub->OpenBidi(kStreamPath, &response);
  {
    MutexLock lock(&mutex_);
    call_ = call.get();
  }
  sent_ = 0;
  heard_at_ = endpoints_.clock->Now();
  bool writable = false;
  bool ends = false;
  absl::Status problem;
  while (problem.ok() && !ends) {
    if (writable && SendNext(call.get())) {
      writable = false;
    }
    switch (call->Await(UntilNextLook())) {
      case BidiCall::Event::kMessage:
        problem = OnResponse(endpoint, response);
        break;
      case BidiCall::Event::kWritable:
        writable = true;
        break;
      case BidiCall::Event::kWoken:
      case BidiCall::Event::kTimeUp:
        break;
      case BidiCall::Event::kEnded:
        problem = call->Finish();
        if (problem.ok()) {
          problem = absl::UnavailableError("the server ended the stream");
        }
        break;
    }
    const MonotonicNanos now = endpoints_.clock->Now();
    if (problem.ok() && sent_ > 0 &&
        now - heard_at_ > absl::ToInt64Nanoseconds(options_.silence_max)) {
      problem = absl::UnavailableError(
          absl::StrCat("no answer came for ", absl::FormatDuration(options_.silence_max)));
    }
    if (now >= next_look_at_) {
      next_look_at_ = now + absl::ToInt64Nanoseconds(kLookInterval);
      EndLate();
    }
    MutexLock lock(&mutex_);
    sleeps_ = false;
    ends = ends_;
  }
  MutexLock lock(&mutex_);
  call_ = nullptr;
  return ends ? absl::OkStatus() : problem;
}

bool StreamWriter::SendNext(BidiCall* call) {
  const MonotonicNanos now = endpoints_.clock->Now();
  MutexLock lock(&mutex_);
  if (to_send_.empty() || now < resume_at_) {
    sleeps_ = to_send_.empty();
    return false;
  }
  const uint64_t number = *to_send_.begin();
  to_send_.erase(to_send_.begin());
  Write& write = writes_.at(number);
  write.is_sent = true;
  if (sent_++ == 0) {
    heard_at_ = now;
  }
  call->Write(write.request, /*more_follows=*/!to_send_.empty());
  return true;
}

absl::Duration StreamWriter::UntilNextLook() {
  MutexLock lock(&mutex_);
  if (writes_.empty()) {
    return absl::Hours(1);  // Until it is woken.
  }
  const absl::Duration until_resume = absl::Nanoseconds(resume_at_ - endpoints_.clock->Now());
  return until_resume > absl::ZeroDuration() ? std::min(until_resume, kLookInterval)
                                             : kLookInterval;
}

absl::Status StreamWriter::OnResponse(size_t endpoint, const v1::StreamResponse& response) {
  const MonotonicNanos now = endpoints_.clock->Now();
  heard_at_ = now;
  if (response.has_header() && !has_answered_) {
    RAFTKV_RETURN_IF_ERROR(endpoints_.check_cluster(endpoint, response.header()));
    endpoints_.prefer(endpoint);
    has_answered_ = true;
  }
  const uint64_t number = response.id();
  absl::Status status =
      response.result().has_error() ? ErrorOf(response.result().error()) : absl::OkStatus();
  {
    MutexLock lock(&mutex_);
    --sent_;
    const auto found = writes_.find(number);
    if (found == writes_.end() || !found->second.is_sent) {
      return absl::OkStatus();  // It was given up.
    }
    Write& write = found->second;
    const bool again = IsSafeToRetry(CallKind::kMarkedWrite, status) || IsWorthWaiting(status);
    if (again) {
      write.is_sent = false;
      write.may_be_done = write.may_be_done || IsOutcomeUnknown(status);
      write.problem = std::move(status);
      to_send_.insert(number);
      if (!backoff_.has_value()) {
        backoff_.emplace(endpoints_.new_backoff());
      }
      if (now >= resume_at_) {
        resume_at_ = now + absl::ToInt64Nanoseconds(backoff_->Next());
      }
      return absl::OkStatus();
    }
    if (status.ok()) {
      backoff_.reset();
    } else if (write.may_be_done && !IsAnswerToWrite(status) && !IsOutcomeUnknown(status)) {
      status = MarkOutcomeUnknown(std::move(status));
    }
  }
  Settle(number, std::move(status));
  return absl::OkStatus();
}

void StreamWriter::TakeBack(const absl::Status& ended) {
  MutexLock lock(&mutex_);
  sent_ = 0;
  // A member that ends a stream has answered all that it began of it; but in another cluster it is
  // done.
  const bool may_be_done =
      !IsCertainlyNotDone(ended) || ErrorReason(ended) == kReasonClusterMismatch;
  for (auto& [number, write] : writes_) {
    if (std::exchange(write.is_sent, false)) {
      write.may_be_done = write.may_be_done || may_be_done;
      to_send_.insert(number);
    }
    write.problem = ended;
  }
}

void StreamWriter::EndLate() {
  const MonotonicNanos now = endpoints_.clock->Now();
  std::vector<std::pair<uint64_t, absl::Status>> late;
  {
    MutexLock lock(&mutex_);
    // In the order of their deadlines.
    for (const auto& [number, write] : writes_) {
      if (write.deadline > now) {
        break;
      }
      absl::Status status = absl::DeadlineExceededError(absl::StrCat(
          "not done within ", absl::FormatDuration(options_.timeout),
          write.problem.ok() ? "" : absl::StrCat("; the last try: ", write.problem.message())));
      if (write.is_sent || write.may_be_done) {
        status = MarkOutcomeUnknown(std::move(status));
      }
      late.emplace_back(number, std::move(status));
    }
  }
  for (auto& [number, status] : late) {
    Settle(number, std::move(status));
  }
}

void StreamWriter::EndAll(const absl::Status& failure) {
  std::vector<std::pair<uint64_t, absl::Status>> all;
  {
    MutexLock lock(&mutex_);
    broken_ = failure;
    for (const auto& [number, write] : writes_) {
      all.emplace_back(number, write.may_be_done ? MarkOutcomeUnknown(failure) : failure);
    }
  }
  for (auto& [number, status] : all) {
    Settle(number, std::move(status));
  }
}

void StreamWriter::Settle(uint64_t number, absl::Status status) {
  BulkError error{.number = number};
  {
    MutexLock lock(&mutex_);
    error.key = writes_.at(number).key;
    error.status = status;
  }
  // First, so that nobody who waits for the end misses it.
  if (!status.ok() && options_.on_error != nullptr) {
    options_.on_error(error);
  }
  MutexLock lock(&mutex_);
  const auto found = writes_.find(number);
  const std::optional<uint64_t> next = found->second.next;
  bytes_ -= found->second.bytes;
  to_send_.erase(number);
  writes_.erase(found);
  if (next.has_value()) {
    to_send_.insert(*next);
  } else {
    last_of_key_.erase(error.key);
  }
  ++(status.ok() ? counts_.done : counts_.failed);
  if (first_failure_.ok()) {
    first_failure_ = std::move(status);
  }
  changed_.NotifyAll();
}

}  // namespace raftkv::client
