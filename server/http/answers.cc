#include "server/http/answers.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "kv/errors.h"

namespace raftkv::server {
namespace {

// Retry-After counts in whole seconds.
void AddRetryAfter(const absl::Status& error, HttpAnswer* answer) {
  if (const auto retry = kv::FindRetryInfo(error); retry.has_value()) {
    const int64_t seconds = retry->retry_delay().seconds();
    answer->headers.emplace_back("Retry-After", absl::StrCat(std::max<int64_t>(1, seconds)));
  }
}

template <typename Detail>
void AddDetail(const Detail& detail, Json* details) {
  // Without the padding, as the Connect protocol has it.
  std::string value = absl::Base64Escape(detail.SerializeAsString());
  value.erase(value.find_last_not_of('=') + 1);
  details->push_back({{"type", Detail::descriptor()->full_name()}, {"value", value}});
}

}  // namespace

HttpAnswer JsonAnswer(const Json& json, std::shared_ptr<void> room) {
  HttpAnswer answer;
  answer.body = WriteJson(json);
  answer.room = std::move(room);
  return answer;
}

int HttpStatusOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange:
    case absl::StatusCode::kFailedPrecondition:
      return 400;
    case absl::StatusCode::kPermissionDenied:
      return 403;
    case absl::StatusCode::kNotFound:
      return 404;
    case absl::StatusCode::kAborted:
    case absl::StatusCode::kAlreadyExists:
      return 409;
    case absl::StatusCode::kResourceExhausted:
      return 429;
    case absl::StatusCode::kUnimplemented:
      return 501;
    case absl::StatusCode::kUnavailable:
      return 503;
    case absl::StatusCode::kDeadlineExceeded:
      return 504;
    default:  // UNKNOWN, INTERNAL, DATA_LOSS, and what nothing here answers with.
      return 500;
  }
}

HttpAnswer ErrorAnswer(const absl::Status& error) {
  const auto info = kv::FindErrorInfo(error);
  HttpAnswer answer = RefusalAnswer(HttpStatusOf(error.code()), error.code(),
                                    info.has_value() ? info->reason() : "", error.message());
  AddRetryAfter(error, &answer);
  return answer;
}

HttpAnswer OrError(absl::StatusOr<HttpAnswer> result) {
  return result.ok() ? *std::move(result) : ErrorAnswer(result.status());
}

HttpAnswer ConnectErrorAnswer(const absl::Status& error) {
  Json body = {{"code", absl::AsciiStrToLower(absl::StatusCodeToString(error.code()))},
               {"message", std::string(error.message())},
               {"details", Json::array()}};
  if (const auto info = kv::FindErrorInfo(error); info.has_value()) {
    AddDetail(*info, &body["details"]);
  }
  if (const auto retry = kv::FindRetryInfo(error); retry.has_value()) {
    AddDetail(*retry, &body["details"]);
  }
  HttpAnswer answer = JsonAnswer(body);
  answer.status = HttpStatusOf(error.code());
  AddRetryAfter(error, &answer);
  return answer;
}

HttpAnswer RefusalAnswer(int status, absl::StatusCode code, absl::string_view reason,
                         absl::string_view message) {
  HttpAnswer answer = JsonAnswer({{"error",
                                   {{"code", absl::StatusCodeToString(code)},
                                    {"reason", std::string(reason)},
                                    {"message", std::string(message)}}}});
  answer.status = status;
  return answer;
}

}  // namespace raftkv::server
