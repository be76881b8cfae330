#include "server/api_error.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "server/limits.h"

namespace raftkv::server {
namespace {

constexpr char kDomain[] = "raftkv";
// The pause that stock clients with a retry policy make after a definite UNAVAILABLE.
constexpr int kUnavailablePushbackMs = 250;
constexpr char kUnread[] = "too many answers wait for clients that do not read them";

ApiError InvalidArgument(absl::string_view reason, absl::string_view field, std::string message) {
  return ApiError{.code = grpc::StatusCode::INVALID_ARGUMENT,
                  .reason = std::string(reason),
                  .message = std::move(message),
                  .metadata = {{"field", std::string(field)}},
                  .retry_delay_ms = std::nullopt,
                  .retry_pushback_ms = std::nullopt};
}

ApiError Unavailable(absl::string_view reason, std::string message) {
  return ApiError{.code = grpc::StatusCode::UNAVAILABLE,
                  .reason = std::string(reason),
                  .message = std::move(message),
                  .metadata = {},
                  .retry_delay_ms = kUnavailablePushbackMs,
                  .retry_pushback_ms = kUnavailablePushbackMs};
}

}  // namespace

grpc::Status ApiError::ToStatus() const {
  google::rpc::Status details;
  details.set_code(code);
  details.set_message(message);
  if (!reason.empty()) {
    google::rpc::ErrorInfo info;
    info.set_reason(reason);
    info.set_domain(kDomain);
    for (const auto& [key, value] : metadata) {
      (*info.mutable_metadata())[key] = value;
    }
    details.add_details()->PackFrom(info);
  }
  if (retry_delay_ms.has_value()) {
    google::rpc::RetryInfo retry;
    retry.mutable_retry_delay()->set_seconds(*retry_delay_ms / 1000);
    retry.mutable_retry_delay()->set_nanos(*retry_delay_ms % 1000 * 1'000'000);
    details.add_details()->PackFrom(retry);
  }
  return grpc::Status(code, message, details.SerializeAsString());
}

std::string EchoKey(absl::string_view key) {
  size_t size = std::min<size_t>(key.size(), kEchoedKeyBytesMax);
  // A UTF-8 continuation byte (10xxxxxx) just after the cut means that the cut is inside a
  // character.
  while (size > 0 && size < key.size() && (key[size] & 0xC0) == 0x80) {
    --size;
  }
  return absl::StrCat("\"", absl::Utf8SafeCEscape(key.substr(0, size)), "\"",
                      size < key.size() ? "..." : "");
}

ApiError BadKey(absl::string_view field, absl::string_view key) {
  ApiError error = InvalidArgument(
      "BAD_KEY", field,
      key.empty() ? absl::StrCat(field, ": is empty; a key has 1 to ", kKeyBytesMax, " bytes")
                  : absl::StrCat(field, ": ", EchoKey(key), " has ", key.size(),
                                 " bytes; a key has 1 to ", kKeyBytesMax));
  error.metadata["size"] = absl::StrCat(key.size());
  error.metadata["limit"] = absl::StrCat(kKeyBytesMax);
  return error;
}

ApiError ValueTooLarge(absl::string_view field, uint64_t size, uint64_t limit) {
  ApiError error =
      InvalidArgument("VALUE_TOO_LARGE", field,
                      absl::StrCat(field, ": has ", size, " bytes; a value has at most ", limit,
                                   " (--value_bytes_max)"));
  error.metadata["size"] = absl::StrCat(size);
  error.metadata["limit"] = absl::StrCat(limit);
  return error;
}

ApiError NoValue() {
  return InvalidArgument(
      "NO_VALUE", "value",
      "value: neither data nor text is set; to write an empty value, set one of them to empty");
}

ApiError BadTtl(absl::string_view field, absl::string_view value, absl::string_view rule) {
  ApiError error = InvalidArgument("BAD_TTL", field, absl::StrCat(field, ": ", value, "; ", rule));
  error.metadata["limit"] = absl::StrCat(kTtlSecondsMax, "s");
  return error;
}

ApiError BadRange(absl::string_view field, absl::string_view problem) {
  return InvalidArgument("BAD_RANGE", field, absl::StrCat(field, ": ", problem));
}

ApiError RangeTooLarge(const log::v1::CommandOutcome& outcome, uint64_t keys_max) {
  ApiError error = InvalidArgument(
      "RANGE_TOO_LARGE", "range",
      outcome.exceeding_bytes()
          ? absl::StrCat(
                "range: the previous values are more than ", kPreviousBytesMax,
                " bytes; nothing was deleted. Set limit to fewer keys and repeat while the "
                "answer says more, or leave return_previous out")
          : absl::StrCat(
                "range: holds more than ", keys_max,
                " keys (--delete_range_keys_max); nothing was deleted. Set limit to that or "
                "less, and repeat while the answer says more"));
  error.metadata["size"] = absl::StrCat(outcome.exceeding());
  error.metadata["limit"] = absl::StrCat(outcome.exceeding_bytes() ? kPreviousBytesMax : keys_max);
  return error;
}

ApiError BadPageSize(int64_t page_size) {
  ApiError error =
      InvalidArgument("BAD_PAGE_SIZE", "page_size",
                      absl::StrCat("page_size: is ", page_size, "; must be 0 (meaning ",
                                   kPageSizeDefault, ") to ", kPageSizeMax));
  error.metadata["size"] = absl::StrCat(page_size);
  error.metadata["limit"] = absl::StrCat(kPageSizeMax);
  return error;
}

ApiError BadLimit(int64_t limit) {
  ApiError error = InvalidArgument(
      "BAD_LIMIT", "limit", absl::StrCat("limit: is ", limit, "; must be 0 (all keys) or more"));
  error.metadata["size"] = absl::StrCat(limit);
  error.metadata["limit"] = "0";
  return error;
}

ApiError BadRevision(absl::string_view field, int64_t revision) {
  return InvalidArgument("BAD_REVISION", field,
                         absl::StrCat(field, ": is ", revision, "; must be 0 or more"));
}

ApiError BadPageToken(absl::string_view problem) {
  return InvalidArgument("BAD_PAGE_TOKEN", "page_token", absl::StrCat("page_token: ", problem));
}

ApiError BadPrecondition(absl::string_view problem) {
  return InvalidArgument("BAD_PRECONDITION", "precondition",
                         absl::StrCat("precondition: ", problem));
}

ApiError Malformed(absl::string_view message_type) {
  return ApiError{.code = grpc::StatusCode::INVALID_ARGUMENT,
                  .reason = "MALFORMED",
                  .message = absl::StrCat("the request is not a ", message_type,
                                          "; are all of its strings (keys, text) UTF-8?"),
                  .metadata = {},
                  .retry_delay_ms = std::nullopt,
                  .retry_pushback_ms = std::nullopt};
}

ApiError UnknownField(absl::string_view field) {
  return ApiError{.code = grpc::StatusCode::UNIMPLEMENTED,
                  .reason = "UNKNOWN_FIELD",
                  .message = absl::StrCat(field, ": this server's version does not know it"),
                  .metadata = {{"field", std::string(field)}},
                  .retry_delay_ms = std::nullopt,
                  .retry_pushback_ms = std::nullopt};
}

ApiError NoLeader() {
  return Unavailable("NO_LEADER",
                     "no leader: a majority of the members may be down or cut off; nothing was "
                     "proposed, try again");
}

ApiError ShuttingDown() {
  return Unavailable("SHUTTING_DOWN",
                     "this member is stopping; nothing was proposed, try another member");
}

ApiError TooStale(int64_t min_revision, int64_t revision) {
  return Unavailable("TOO_STALE", absl::StrCat("this member has applied revision ", revision,
                                               ", not yet min_revision ", min_revision));
}

ApiError Behind() {
  return Unavailable(
      "TOO_STALE",
      "this member lags behind: it has not applied in time what was committed before "
      "the read; ask another member, or try again later");
}

ApiError OutcomeUnknown() {
  return ApiError{.code = grpc::StatusCode::UNKNOWN,
                  .reason = "OUTCOME_UNKNOWN",
                  .message =
                      "the write was proposed and its outcome did not become known in time: it may "
                      "have happened, or may yet; read before writing again",
                  .metadata = {},
                  .retry_delay_ms = std::nullopt,
                  .retry_pushback_ms = -1};
}

ApiError UnreadOutcome() {
  ApiError error = OutcomeUnknown();
  error.message = absl::StrCat("the write was done, but its answer was dropped: ", kUnread);
  return error;
}

ApiError Overloaded() {
  return ApiError{.code = grpc::StatusCode::RESOURCE_EXHAUSTED,
                  .reason = "OVERLOADED",
                  .message = "too many requests are waiting; nothing was proposed, try again later",
                  .metadata = {},
                  .retry_delay_ms = kUnavailablePushbackMs,
                  .retry_pushback_ms = std::nullopt};
}

ApiError Unfinished() {
  ApiError error = Overloaded();
  error.message =
      "the request did not arrive as a whole in the time that there was for it; nothing was "
      "proposed, try again later";
  return error;
}

ApiError Unread() {
  ApiError error = Overloaded();
  error.message = absl::StrCat("the answer was dropped: ", kUnread, "; try again later");
  return error;
}

ApiError TooSlow() {
  return ApiError{.code = grpc::StatusCode::DEADLINE_EXCEEDED,
                  .reason = "",
                  .message =
                      "reading took longer than the call's deadline, or --request_timeout_ms "
                      "without one",
                  .metadata = {},
                  .retry_delay_ms = std::nullopt,
                  .retry_pushback_ms = std::nullopt};
}

ApiError PreconditionFailed(absl::string_view key, int64_t current_mod_revision) {
  return ApiError{
      .code = grpc::StatusCode::ABORTED,
      .reason = "PRECONDITION_FAILED",
      .message = absl::StrCat("the precondition on ", EchoKey(key), " does not hold: ",
                              current_mod_revision == 0
                                  ? "the key does not exist"
                                  : absl::StrCat("its mod_revision is ", current_mod_revision)),
      .metadata = {{"mod_revision", absl::StrCat(current_mod_revision)}},
      .retry_delay_ms = std::nullopt,
      .retry_pushback_ms = std::nullopt};
}

ApiError Corrupted(absl::string_view problem) {
  return ApiError{.code = grpc::StatusCode::DATA_LOSS,
                  .reason = "CORRUPTED",
                  .message = absl::StrCat("this member's data is damaged: ", problem),
                  .metadata = {},
                  .retry_delay_ms = std::nullopt,
                  .retry_pushback_ms = std::nullopt};
}

}  // namespace raftkv::server
