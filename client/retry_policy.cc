#include "client/retry_policy.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/error_payload.h"
#include "client/errors.h"

namespace raftkv::client {
namespace {

// Only the command itself comes to these, whose codes others share.
bool IsSaidOfLease(const std::string& reason) {
  return reason == "LEASE_NOT_FOUND" || reason == "LEASE_EXISTS" || reason == "LEASE_FULL" ||
         reason == "TOO_MANY_LEASES";
}

}  // namespace

bool IsSafeToRetry(CallKind kind, const absl::Status& status) {
  if (kind == CallKind::kMarkedWrite && absl::IsUnknown(status)) {
    return IsOutcomeUnknown(status);
  }
  if (!absl::IsUnavailable(status)) {
    return false;
  }
  if (kind != CallKind::kWrite) {
    return true;
  }
  const std::string reason = ErrorReason(status);
  return reason == kReasonCannotConnect || reason == kReasonNoLeader ||
         reason == kReasonShuttingDown;
}

bool IsAnswerToWrite(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kOutOfRange:
      return !IsOutcomeUnknown(status);
    default:
      return IsSaidOfLease(ErrorReason(status));
  }
}

bool IsCertainlyNotDone(const absl::Status& status) {
  const std::string reason = ErrorReason(status);
  if (!reason.empty()) {
    return reason != kReasonOutcomeUnknown;
  }
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kNotFound:
    case absl::StatusCode::kAlreadyExists:
    case absl::StatusCode::kPermissionDenied:
    case absl::StatusCode::kUnauthenticated:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kUnimplemented:
      return true;
    case absl::StatusCode::kOk:
    case absl::StatusCode::kCancelled:
    case absl::StatusCode::kUnknown:
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kResourceExhausted:
    case absl::StatusCode::kInternal:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kDataLoss:
      return false;
    default:
      return false;
  }
}

absl::Status MarkOutcomeUnknown(absl::Status status) {
  absl::Status marked(status.code(),
                      absl::StrCat(status.message(), "; the write may or may not have happened"));
  return WithReason(std::move(marked), kReasonOutcomeUnknown, kClientErrorDomain);
}

Backoff::Backoff(absl::Duration initial, absl::Duration max, Rng rng)
    : max_(max), step_(initial), rng_(rng) {}

absl::Duration Backoff::Next() {
  constexpr uint64_t kJitterSteps = 1'000;
  const absl::Duration longest = step_;
  step_ = std::min(2 * step_, max_);
  const auto left_out = static_cast<int64_t>(rng_.Below(kJitterSteps + 1));
  return longest - longest / 2 * left_out / static_cast<int64_t>(kJitterSteps);
}

}  // namespace raftkv::client
