#include "client/endpoint.h"

#include <gtest/gtest.h>

namespace raftkv::client {
namespace {

TEST(ParseEndpointTest, TakesHostAndPort) {
  EXPECT_EQ(*ParseEndpoint("127.0.0.1:2379"), "127.0.0.1:2379");
  EXPECT_EQ(*ParseEndpoint(" n1.example:1 "), "n1.example:1");
  EXPECT_EQ(*ParseEndpoint("[::1]:65535"), "[::1]:65535");
  EXPECT_EQ(*ParseEndpoint("http://localhost:2379"), "localhost:2379");
}

TEST(ParseEndpointTest, TheSchemeIsTheClients) {
  EXPECT_EQ(*ParseEndpoint("https://localhost:2379", Scheme::kHttps), "localhost:2379");
  EXPECT_EQ(*ParseEndpoint("localhost:2379", Scheme::kHttps), "localhost:2379");
  EXPECT_TRUE(
      absl::IsInvalidArgument(ParseEndpoint("http://localhost:2379", Scheme::kHttps).status()));
  EXPECT_TRUE(BeginsWithHttps(" https://localhost:2379"));
  EXPECT_FALSE(BeginsWithHttps("http://localhost:2379"));
}

TEST(ParseEndpointTest, RefusesTheRestAndNamesIt) {
  for (const char* text : {"", "localhost", "localhost:", ":2379", "localhost:0", "localhost:65536",
                           "localhost:x", "localhost:+1", "a b:1", "a/b:1", "::1:2379", "[name]:1",
                           "[]:1", "https://localhost:2379"}) {
    const absl::Status status = ParseEndpoint(text).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << text;
    EXPECT_NE(status.message().find(text), absl::string_view::npos) << status;
  }
}

}  // namespace
}  // namespace raftkv::client
