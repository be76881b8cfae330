#include "client/ctl/exit_code.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "client/errors.h"

namespace raftkv::ctl {
namespace {

absl::string_view Advice(const absl::Status& status) {
  struct Entry {
    const char* reason;
    const char* advice;
  };
  static constexpr Entry kByReason[] = {
      {kReasonCannotConnect, "is raftkvd running there? Use --endpoints"},
      {kReasonOutcomeUnknown, "read the key before you write it again"},
      {kReasonClusterMismatch, "see raftkvctl endpoint status"},
      {kReasonNoLeader,
       "a majority of the members must be up: see raftkvctl endpoint status --cluster"},
      {kReasonShuttingDown, "try again, or name more members with --endpoints"},
      {"TOO_STALE", "try again, or read with --consistency=l"},
      {"INDEX_TOO_OLD", "try again"},
      {"OVERLOADED", "try again later with fewer requests at once"},
      {"DISK_FULL", "free space on the members' disks"},
      {"UNKNOWN_FIELD", "the server is older than this raftkvctl: use the server's version of it"},
      {"BAD_TTL", "use a duration such as 5s, 300ms or 1m30s"},
  };
  const std::string reason = ErrorReason(status);
  for (const Entry& entry : kByReason) {
    if (entry.reason == reason) {
      return entry.advice;
    }
  }
  if (absl::IsDeadlineExceeded(status)) {
    return "raise --command-timeout or see raftkvctl endpoint health --cluster";
  }
  if (absl::IsUnavailable(status)) {
    return "try again, or see raftkvctl endpoint health";
  }
  if (absl::IsUnimplemented(status)) {
    return "is that a peer port? Use a raftkvd's client address (--listen_client), and a raftkvd "
           "as new as this raftkvctl";
  }
  return "see raftkvctl --help";
}

}  // namespace

ExitCode ExitCodeFor(const absl::Status& status) {
  const std::optional<ErrorDetails> details = GetErrorDetails(status);
  if (details.has_value() && details->reason == kReasonCannotConnect) {
    return ExitCode::kCannotConnect;
  }
  if (details.has_value() && details->reason == kReasonClusterMismatch) {
    return ExitCode::kUnhealthy;
  }
  if (details.has_value() && details->domain == kServerErrorDomain) {
    return ExitCode::kServerError;
  }
  if (details.has_value() && absl::IsInvalidArgument(status)) {
    return ExitCode::kBadArguments;
  }
  switch (status.code()) {
    case absl::StatusCode::kDeadlineExceeded:
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kCancelled:
      return ExitCode::kError;
    default:
      return ExitCode::kServerError;
  }
}

std::string DescribeError(const absl::Status& status, const std::vector<std::string>& endpoints) {
  std::string text(status.message());
  if (text.empty()) {
    text = absl::StatusCodeToString(status.code());
  }
  const std::string reason = ErrorReason(status);
  if (reason != kReasonCannotConnect) {
    absl::StrAppend(&text, " (", absl::StatusCodeToString(status.code()), reason.empty() ? "" : "/",
                    reason);
    if (ExitCodeFor(status) != ExitCode::kBadArguments) {
      absl::StrAppend(&text, ", asked ", absl::StrJoin(endpoints, ","));
    }
    absl::StrAppend(&text, ")");
  }
  return absl::StrCat(text, "; ", Advice(status));
}

}  // namespace raftkv::ctl
