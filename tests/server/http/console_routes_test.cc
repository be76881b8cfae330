// What the console's files are served as, and what must not be in them.
#include "server/http/console_routes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/http/console_files.h"

namespace raftkv::server {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

HttpAnswer Get(const std::string& path, const std::string& mode = "on",
               const std::string& if_none_match = "") {
  HttpRequest request;
  request.method = "GET";
  request.path = path;
  request.if_none_match = if_none_match;
  const RouteTable table(ConsoleRoutes(mode));
  std::optional<HttpAnswer> refusal = table.Refuse(request);
  return refusal.has_value() ? *std::move(refusal) : table.Handle(request);
}

std::string Header(const HttpAnswer& answer, const std::string& name) {
  const auto found = std::find_if(answer.headers.begin(), answer.headers.end(),
                                  [&](const auto& header) { return header.first == name; });
  return found == answer.headers.end() ? "" : found->second;
}

std::string PathOf(absl::string_view name) {
  return name == "index.html" ? "/" : absl::StrCat("/console/", name);
}

TEST(ConsoleRoutesTest, EachFileHasItsTypeAndPolicy) {
  std::set<std::string> types;
  for (const ConsoleFile& file : ConsoleFiles()) {
    SCOPED_TRACE(file.name);
    const HttpAnswer answer = Get(PathOf(file.name));
    EXPECT_EQ(answer.status, 200);
    EXPECT_FALSE(answer.body.empty());
    types.insert(answer.content_type);
    EXPECT_THAT(Header(answer, "Content-Security-Policy"),
                AllOf(HasSubstr("default-src 'none'"), HasSubstr("script-src 'self'"),
                      HasSubstr("style-src 'self'"), HasSubstr("frame-ancestors 'none'"),
                      HasSubstr("require-trusted-types-for 'script'"), Not(HasSubstr("unsafe")),
                      Not(HasSubstr("*"))));
    EXPECT_EQ(Header(answer, "Referrer-Policy"), "no-referrer");
    EXPECT_EQ(Header(answer, "Cache-Control"), "no-cache");
  }
  EXPECT_THAT(types,
              testing::ElementsAre("image/svg+xml", "text/css; charset=utf-8",
                                   "text/html; charset=utf-8", "text/javascript; charset=utf-8"));
}

TEST(ConsoleRoutesTest, FilesAreTheBytesOfTheTree) {
  const auto& files = ConsoleFiles();
  const auto api = std::find_if(files.begin(), files.end(),
                                [](const ConsoleFile& file) { return file.name == "api.js"; });
  ASSERT_NE(api, files.end());
  EXPECT_TRUE(absl::StartsWith(api->text, "// The client API of the member"));
  // What a list of CMake's would have lost.
  EXPECT_TRUE(absl::StrContains(api->text, "['unreachable', 'unknown',"));
  EXPECT_TRUE(absl::EndsWith(api->text, "}\n"));
}

TEST(ConsoleRoutesTest, ThePageKnowsItsMode) {
  EXPECT_THAT(Get("/", "on").body, HasSubstr(R"(name="raftkv-console" content="on")"));
  EXPECT_THAT(Get("/", "readonly").body, HasSubstr(R"(name="raftkv-console" content="readonly")"));
  EXPECT_NE(Header(Get("/", "on"), "ETag"), Header(Get("/", "readonly"), "ETag"));
  for (const ConsoleFile& file : ConsoleFiles()) {
    EXPECT_THAT(Get(PathOf(file.name)).body, Not(HasSubstr("{{"))) << file.name;
  }
}

TEST(ConsoleRoutesTest, OffIsNotThere) {
  EXPECT_TRUE(ConsoleRoutes("off").empty());
  EXPECT_EQ(Get("/", "off").status, 404);
}

TEST(ConsoleRoutesTest, WhoHasItGetsNoBody) {
  const HttpAnswer answer = Get("/console/main.js");
  const std::string tag = Header(answer, "ETag");
  EXPECT_THAT(tag, testing::MatchesRegex("\"[0-9a-f]{16}\""));
  for (const std::string& known : {tag, "W/" + tag, "\"x\", " + tag, std::string("*")}) {
    const HttpAnswer kept = Get("/console/main.js", "on", known);
    EXPECT_EQ(kept.status, 304) << known;
    EXPECT_EQ(kept.body, "");
    EXPECT_EQ(Header(kept, "ETag"), tag);
  }
  EXPECT_EQ(Get("/console/main.js", "on", "\"0123456789abcdef\"").status, 200);
  EXPECT_NE(Header(Get("/console/api.js"), "ETag"), tag);
}

// The policy forbids it at run time; this says so earlier.
TEST(ConsoleRoutesTest, NothingMakesMarkupOfTextOrLoadsFromElsewhere) {
  for (const ConsoleFile& file : ConsoleFiles()) {
    const std::string text(file.text);
    for (const char* word :
         {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser",
          "createContextualFragment", "new Function", "https:", "<style", " style=\"", "@import",
          "javascript:", "srcdoc", " onclick=\"", " onload=\""}) {
      EXPECT_THAT(text, Not(HasSubstr(word))) << file.name;
    }
    for (size_t at = text.find("http:"); at != std::string::npos; at = text.find("http:", at + 1)) {
      EXPECT_EQ(text.substr(at, 26), "http://www.w3.org/2000/svg") << file.name;
    }
    for (size_t at = text.find("<script"); at != std::string::npos;
         at = text.find("<script", at + 1)) {
      EXPECT_TRUE(absl::StartsWith(text.substr(at), "<script type=\"module\" src=\"/console/"));
    }
  }
}

}  // namespace
}  // namespace raftkv::server
