#include "server/http/route_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "server/http/answers.h"

namespace raftkv::server {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Pair;

Route Named(const std::string& method, const std::string& pattern,
            std::vector<std::string> parameters = {}) {
  const auto handle = [name = absl::StrCat(method, " ", pattern)](const RoutedRequest& request) {
    HttpAnswer answer;
    answer.body = absl::StrCat(name, " key=", request.key, " timeout=", request.timeout);
    return answer;
  };
  return {.method = method,
          .pattern = pattern,
          .parameters = std::move(parameters),
          .handle = handle,
          .fail = ErrorAnswer};
}

class RouteTableTest : public testing::Test {
 protected:
  static HttpRequest Request(const std::string& method, const std::string& path,
                             const std::string& query = "") {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.query = query;
    request.host = "localhost:8080";
    return request;
  }
  HttpAnswer Answer(const HttpRequest& request) const {
    std::optional<HttpAnswer> refusal = table_.Refuse(request);
    return refusal.has_value() ? *std::move(refusal) : table_.Handle(request);
  }

  const RouteTable table_{{Named("GET", "/v1/kv", {"prefix"}), Named("GET", "/v1/kv/{key}"),
                           Named("PUT", "/v1/kv/{key}"), Named("POST", "/set")}};
};

TEST_F(RouteTableTest, KeysTakeTheRestOfThePath) {
  EXPECT_EQ(Answer(Request("GET", "/v1/kv")).body, "GET /v1/kv key= timeout=5000000000");
  for (const auto& [path, key] :
       std::vector<std::pair<std::string, std::string>>{{"/v1/kv/a", "a"},
                                                        {"/v1/kv/a/b/", "a/b/"},
                                                        {"/v1/kv/", ""},
                                                        {"/v1/kv//", "/"},
                                                        {"/v1/kv/a%2Fb%20c", "a/b c"},
                                                        {"/v1/kv/..%2Fx", "../x"}}) {
    EXPECT_EQ(Answer(Request("PUT", path)).body,
              absl::StrCat("PUT /v1/kv/{key} key=", key, " timeout=5000000000"));
  }
  EXPECT_THAT(Answer(Request("HEAD", "/v1/kv/a")).body, HasSubstr("GET /v1/kv/{key} key=a"));
}

TEST_F(RouteTableTest, WhatNobodyHasIsNotFound) {
  for (const char* path : {"/", "/v2", "/v1/kvx", "/set/", "/SET", ""}) {
    const HttpAnswer answer = Answer(Request("GET", path));
    EXPECT_EQ(answer.status, 404) << path;
    EXPECT_THAT(answer.body, HasSubstr("NO_SUCH_ROUTE"));
  }
}

TEST_F(RouteTableTest, AWrongMethodSaysWhichAreRight) {
  const HttpAnswer answer = Answer(Request("POST", "/v1/kv/a"));
  EXPECT_EQ(answer.status, 405);
  EXPECT_THAT(answer.headers, Contains(Pair("Allow", "GET, HEAD, PUT")));
  EXPECT_THAT(Answer(Request("GET", "/set")).headers, Contains(Pair("Allow", "POST")));
}

TEST_F(RouteTableTest, PagesOfOtherSitesMayNotChangeAnything) {
  for (const char* origin : {"http://evil.example", "null", "http://localhost", "file://",
                             "http://localhost:8080.evil.example", "http://localhost:80800"}) {
    for (HttpRequest request : {Request("PUT", "/v1/kv/a"), Request("POST", "/set")}) {
      request.origin = origin;
      const HttpAnswer answer = Answer(request);
      EXPECT_EQ(answer.status, 403) << origin;
      EXPECT_THAT(answer.body, HasSubstr("FOREIGN_ORIGIN"));
    }
    HttpRequest read = Request("GET", "/v1/kv/a");
    read.origin = origin;
    EXPECT_EQ(Answer(read).status, 200) << origin;
  }
  for (const char* origin : {"", "http://localhost:8080", "https://localhost:8080"}) {
    HttpRequest request = Request("PUT", "/v1/kv/a");
    request.origin = origin;
    EXPECT_EQ(Answer(request).status, 200) << origin;
  }
}

// A browser says which page sends a change; a page of this server is no more than any other then.
TEST_F(RouteTableTest, WherePagesOnlyReadNoneWrites) {
  Route list = Named("POST", "/List");
  list.only_reads = true;
  const RouteTable table({Named("GET", "/v1/kv"), Named("PUT", "/v1/kv/{key}"), list},
                         PagesMay::kRead);
  HttpRequest write = Request("PUT", "/v1/kv/a");
  EXPECT_FALSE(table.Refuse(write).has_value()) << "no page sends it";
  write.origin = "http://localhost:8080";
  const std::optional<HttpAnswer> refusal = table.Refuse(write);
  ASSERT_TRUE(refusal.has_value());
  EXPECT_EQ(refusal->status, 403);
  EXPECT_THAT(refusal->body, HasSubstr("CONSOLE_READONLY"));
  for (HttpRequest read : {Request("POST", "/List"), Request("GET", "/v1/kv")}) {
    read.origin = "http://localhost:8080";
    EXPECT_FALSE(table.Refuse(read).has_value()) << read.path;
  }
  HttpRequest foreign = Request("POST", "/List");
  foreign.origin = "http://evil.example";
  EXPECT_THAT(table.Refuse(foreign)->body, HasSubstr("FOREIGN_ORIGIN"));
}

TEST_F(RouteTableTest, ParametersAreThoseOfTheRoute) {
  EXPECT_EQ(Answer(Request("GET", "/v1/kv", "prefix=a&timeout=1s")).status, 200);
  const HttpAnswer answer = Answer(Request("GET", "/v1/kv/a", "prefix=a"));
  EXPECT_EQ(answer.status, 400);
  EXPECT_THAT(answer.body, HasSubstr("this route takes timeout"));
  EXPECT_EQ(Answer(Request("GET", "/v1/kv/%zz")).status, 400);
}

TEST_F(RouteTableTest, TheClientSaysHowLongItWaits) {
  EXPECT_THAT(Answer(Request("GET", "/v1/kv/a", "timeout=300ms")).body,
              HasSubstr("timeout=300000000"));
  HttpRequest request = Request("GET", "/v1/kv/a");
  request.connect_timeout_ms = "250";
  EXPECT_THAT(Answer(request).body, HasSubstr("timeout=250000000"));
  for (const char* bad : {"0", "-1s", "soon", "", "61s", "inf", "1e300s"}) {
    EXPECT_EQ(Answer(Request("GET", "/v1/kv/a", absl::StrCat("timeout=", bad))).status, 400) << bad;
    request.connect_timeout_ms = bad[0] == '\0' ? "x" : bad;
    EXPECT_EQ(Answer(request).status, 400) << bad;
  }
  EXPECT_EQ(*ParseTimeout("1m"), kHttpTimeoutMax);
}

}  // namespace
}  // namespace raftkv::server
