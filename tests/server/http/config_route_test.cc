#include "server/http/config_route.h"

#include <gtest/gtest.h>

#include "server/http/json.h"

namespace raftkv::server {
namespace {

TEST(ConfigRouteTest, HasEveryOptionWithItsSource) {
  ServerOptions options;
  options.name = "n1";
  options.reflection = false;
  options.sources = {{"name", "file a.yaml:1:1"}, {"reflection", "environment"}};
  const Route route = ConfigRoute(options);
  EXPECT_EQ(route.method, "GET");
  EXPECT_EQ(route.pattern, "/config");
  const HttpRequest request;
  const HttpAnswer answer = route.handle(RoutedRequest{
      .http = request, .key = "", .parameters = *QueryParameters::Parse(""), .timeout = 1});
  EXPECT_EQ(answer.status, 200);
  const auto json = ParseJson(answer.body);
  ASSERT_TRUE(json.ok()) << json.status();
  EXPECT_EQ(json->size(), Option::Table().size());
  EXPECT_EQ((*json)["name"], (Json{{"value", "n1"}, {"source", "file a.yaml:1:1"}}));
  EXPECT_EQ((*json)["reflection"], (Json{{"value", false}, {"source", "environment"}}));
  EXPECT_EQ((*json)["log_bytes_max"], (Json{{"value", 1 << 30}, {"source", "default"}}));
}

}  // namespace
}  // namespace raftkv::server
