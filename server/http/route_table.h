// RouteTable says which handler a request belongs to, and refuses those that belong to none.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "server/http/address_text.h"
#include "server/http/http_message.h"

namespace raftkv::server {

// What a handler is given.
struct RoutedRequest {
  const HttpRequest& http;
  // What the pattern's {key} stands for, decoded.
  std::string key;
  QueryParameters parameters;
  // How long the client waits.
  MonotonicNanos timeout = 0;
};

struct Route {
  std::string method;
  // "/v1/kv" is this path alone; "/v1/kv/{key}" is any that begins with what stands before {key}.
  std::string pattern;
  // What may stand behind the question mark, besides `timeout`.
  std::vector<std::string> parameters;
  std::function<HttpAnswer(const RoutedRequest&)> handle;
  // How an error is answered.
  HttpAnswer (*fail)(const absl::Status&);
  // Whether it changes nothing, although its method is not GET.
  bool only_reads = false;

  // Whether a page of another site must not be able to send it.
  bool changes() const { return method != "GET"; }
  bool writes() const { return changes() && !only_reads; }
};

// Whether pages may write. A browser names the page that a change comes from, and other programs
// name none.
enum class PagesMay { kWrite, kRead };

// A client that says nothing waits for so long, and may say this at most: a call that waits has a
// thread.
inline constexpr MonotonicNanos kHttpTimeoutDefault = 5 * kNanosPerSecond;
inline constexpr MonotonicNanos kHttpTimeoutMax = 60 * kNanosPerSecond;

// Constant, and so thread-safe, as its handlers are.
class RouteTable final {
 public:
  explicit RouteTable(std::vector<Route> routes, PagesMay pages = PagesMay::kWrite)
      : routes_(std::move(routes)), pages_(pages) {}

  // What can be refused before the body has come: an address that nothing has (404), a method that
  // it does not take (405, with Allow), a change that a page of another site sends (403), and a
  // write of any page where they may only read (403).
  std::optional<HttpAnswer> Refuse(const HttpRequest& head) const;
  // REQUIRES: Refuse has not refused it.
  HttpAnswer Handle(const HttpRequest& request) const;

 private:
  // GET stands for HEAD as well.
  const Route* Find(absl::string_view method, absl::string_view path) const;

  const std::vector<Route> routes_;
  const PagesMay pages_;
};

// "5s", "300ms", "1m30s", or seconds; more than 0. INVALID_ARGUMENT / MALFORMED names the
// parameter.
absl::StatusOr<MonotonicNanos> ParseTimeout(absl::string_view text);

}  // namespace raftkv::server
