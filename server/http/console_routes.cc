#include "server/http/console_routes.h"

#include <glog/logging.h>

#include <memory>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/stable_hash.h"
#include "server/http/answers.h"
#include "server/http/console_files.h"

namespace raftkv::server {
namespace {

constexpr char kPage[] = "index.html";
// Stands in the page where the mode does.
constexpr char kModeMark[] = "{{console}}";

// What a key or a value could do to whoever looks at it: nothing. No script and no style but those
// files, no text becomes markup, nothing is loaded from or sent to elsewhere, and no page of
// another site shows this one in a frame.
constexpr char kPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'";

std::string ContentTypeOf(absl::string_view name) {
  if (absl::EndsWith(name, ".html")) {
    return "text/html; charset=utf-8";
  }
  if (absl::EndsWith(name, ".css")) {
    return "text/css; charset=utf-8";
  }
  if (absl::EndsWith(name, ".svg")) {
    return "image/svg+xml";
  }
  CHECK(absl::EndsWith(name, ".js")) << name;
  return "text/javascript; charset=utf-8";
}

// RFC 9110, 13.1.2: a list of tags, weak ones too, or "*".
bool HasTag(absl::string_view if_none_match, absl::string_view tag) {
  for (absl::string_view one : absl::StrSplit(if_none_match, ',')) {
    one = absl::StripAsciiWhitespace(one);
    absl::ConsumePrefix(&one, "W/");
    if (one == tag || one == "*") {
      return true;
    }
  }
  return false;
}

Route FileRoute(const std::string& path, absl::string_view name, std::string text) {
  const std::string tag = absl::StrCat("\"", absl::Hex(StableHash(text), absl::kZeroPad16), "\"");
  auto answer = std::make_shared<HttpAnswer>();
  answer->content_type = ContentTypeOf(name);
  answer->body = std::move(text);
  answer->headers = {{"Content-Security-Policy", kPolicy},
                     {"Referrer-Policy", "no-referrer"},
                     {"Cross-Origin-Resource-Policy", "same-origin"},
                     // Asked about each time, since an upgraded member has others.
                     {"Cache-Control", "no-cache"},
                     {"ETag", tag}};
  // Shared, because what is called is copied.
  const auto handle = [answer = std::shared_ptr<const HttpAnswer>(std::move(answer)),
                       tag](const RoutedRequest& request) {
    HttpAnswer copy = *answer;
    if (HasTag(request.http.if_none_match, tag)) {
      copy.status = 304;
      copy.body.clear();
    }
    return copy;
  };
  return {
      .method = "GET", .pattern = path, .parameters = {}, .handle = handle, .fail = ErrorAnswer};
}

}  // namespace

std::vector<Route> ConsoleRoutes(const std::string& mode) {
  std::vector<Route> routes;
  if (mode == "off") {
    return routes;
  }
  for (const ConsoleFile& file : ConsoleFiles()) {
    if (file.name == kPage) {
      routes.push_back(
          FileRoute("/", file.name, absl::StrReplaceAll(file.text, {{kModeMark, mode}})));
    } else {
      routes.push_back(
          FileRoute(absl::StrCat("/console/", file.name), file.name, std::string(file.text)));
    }
  }
  return routes;
}

}  // namespace raftkv::server
