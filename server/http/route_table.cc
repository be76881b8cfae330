#include "server/http/route_table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "base/duration.h"
#include "base/status_macros.h"
#include "kv/errors.h"
#include "server/http/answers.h"

namespace raftkv::server {
namespace {

constexpr char kKey[] = "{key}";

// The part of the path that {key} stands for, or nothing when the path is not one of the pattern.
std::optional<absl::string_view> Match(absl::string_view pattern, absl::string_view path) {
  if (!absl::ConsumeSuffix(&pattern, kKey)) {
    return path == pattern ? std::optional<absl::string_view>("") : std::nullopt;
  }
  return absl::ConsumePrefix(&path, pattern) ? std::optional<absl::string_view>(path)
                                             : std::nullopt;
}

// A browser says where the page is from that sends a request; other programs say nothing.
bool IsForeign(const HttpRequest& head) {
  return !head.origin.empty() && head.origin != absl::StrCat("http://", head.host) &&
         head.origin != absl::StrCat("https://", head.host);
}

absl::StatusOr<MonotonicNanos> TimeoutOf(const HttpRequest& request,
                                         const QueryParameters& parameters) {
  if (const auto text = parameters.Find("timeout"); text.has_value()) {
    return ParseTimeout(*text);
  }
  if (request.connect_timeout_ms.empty()) {
    return kHttpTimeoutDefault;
  }
  int64_t milliseconds = 0;
  if (!absl::SimpleAtoi(request.connect_timeout_ms, &milliseconds)) {
    return kv::MalformedTextError(absl::StrCat(
        "header Connect-Timeout-Ms: ", kv::EchoKey(request.connect_timeout_ms), " is no number"));
  }
  return ParseTimeout(absl::StrCat(milliseconds, "ms"));
}

absl::StatusOr<RoutedRequest> Read(const Route& route, const HttpRequest& request) {
  RAFTKV_ASSIGN_OR_RETURN(QueryParameters parameters, QueryParameters::Parse(request.query));
  std::vector<std::string> known = route.parameters;
  known.push_back("timeout");
  RAFTKV_RETURN_IF_ERROR(parameters.CheckAllAmong(known));
  RAFTKV_ASSIGN_OR_RETURN(const MonotonicNanos timeout, TimeoutOf(request, parameters));
  RAFTKV_ASSIGN_OR_RETURN(std::string key, DecodePath(*Match(route.pattern, request.path)));
  return RoutedRequest{.http = request,
                       .key = std::move(key),
                       .parameters = std::move(parameters),
                       .timeout = timeout};
}

}  // namespace

absl::StatusOr<MonotonicNanos> ParseTimeout(absl::string_view text) {
  const absl::StatusOr<absl::Duration> duration = ParseDuration(text);
  const int64_t nanos = duration.ok() ? absl::ToInt64Nanoseconds(*duration) : 0;
  if (nanos <= 0 || nanos > kHttpTimeoutMax) {
    return kv::MalformedTextError(absl::StrCat(
        "parameter timeout: is ", kv::EchoKey(text), "; must be more than 0 and at most ",
        kHttpTimeoutMax / kNanosPerSecond, "s, as 5s, 300ms or 1m30s"));
  }
  return nanos;
}

const Route* RouteTable::Find(absl::string_view method, absl::string_view path) const {
  const absl::string_view wanted = method == "HEAD" ? "GET" : method;
  const auto found = std::find_if(routes_.begin(), routes_.end(), [&](const Route& route) {
    return route.method == wanted && Match(route.pattern, path).has_value();
  });
  return found == routes_.end() ? nullptr : &*found;
}

std::optional<HttpAnswer> RouteTable::Refuse(const HttpRequest& head) const {
  if (const Route* route = Find(head.method, head.path); route != nullptr) {
    if (route->changes() && IsForeign(head)) {
      return RefusalAnswer(403, absl::StatusCode::kPermissionDenied, "FOREIGN_ORIGIN",
                           absl::StrCat("a page of ", kv::EchoKey(head.origin),
                                        " may not change what this server holds"));
    }
    if (pages_ == PagesMay::kRead && route->writes() && !head.origin.empty()) {
      return RefusalAnswer(403, absl::StatusCode::kPermissionDenied, "CONSOLE_READONLY",
                           "this server was started with --console=readonly: pages only read");
    }
    return std::nullopt;
  }
  std::vector<absl::string_view> allowed;
  for (const Route& route : routes_) {
    if (Match(route.pattern, head.path).has_value()) {
      allowed.push_back(route.method);
      if (route.method == "GET") {
        allowed.push_back("HEAD");
      }
    }
  }
  if (allowed.empty()) {
    return RefusalAnswer(404, absl::StatusCode::kNotFound, "NO_SUCH_ROUTE",
                         absl::StrCat("nothing is at ", kv::EchoKey(head.path)));
  }
  const std::string allow = absl::StrJoin(allowed, ", ");
  HttpAnswer answer = RefusalAnswer(
      405, absl::StatusCode::kUnimplemented, "METHOD_NOT_ALLOWED",
      absl::StrCat(head.method, ": ", kv::EchoKey(head.path), " takes ", allow, " only"));
  answer.headers.emplace_back("Allow", allow);
  return answer;
}

HttpAnswer RouteTable::Handle(const HttpRequest& request) const {
  const Route& route = *Find(request.method, request.path);
  const absl::StatusOr<RoutedRequest> routed = Read(route, request);
  return routed.ok() ? route.handle(*routed) : route.fail(routed.status());
}

}  // namespace raftkv::server
