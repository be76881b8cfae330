#include "base/host_port.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"

namespace raftkv {
namespace {

TEST(HostPortTest, ParsesWhatItPrints) {
  struct Case {
    std::string text;
    std::string host;
    int port;
  };
  const std::vector<Case> cases = {{"127.0.0.1:2379", "127.0.0.1", 2379},
                                   {"localhost:0", "localhost", 0},
                                   {"node-1.db_x.example:65535", "node-1.db_x.example", 65535},
                                   {":2379", "", 2379},
                                   {"[::1]:2379", "::1", 2379},
                                   {"[fe80::1%eth0]:1", "fe80::1%eth0", 1}};
  for (const Case& expected : cases) {
    const absl::StatusOr<HostPort> parsed = HostPort::Parse(expected.text);
    ASSERT_TRUE(parsed.ok()) << expected.text << ": " << parsed.status();
    EXPECT_EQ(parsed->host, expected.host);
    EXPECT_EQ(parsed->port, expected.port);
    EXPECT_EQ(parsed->ToString(), expected.text);
  }
}

TEST(HostPortTest, RefusesWhatIsNoAddress) {
  for (const char* text : {"",
                           "localhost",
                           "localhost:",
                           "localhost:-1",
                           "localhost:65536",
                           "localhost:http",
                           "localhost:23 79",
                           "localhost:99999999999",
                           "::1:2379",
                           "[::1:2379",
                           "::1]:2379",
                           "[host]:1",
                           "[]:1",
                           "[f%eth0]:1",
                           "two words:1",
                           "a,b:1",
                           "http://host:1",
                           "host:1/path",
                           "host=a:1",
                           "user@host:1"}) {
    const absl::StatusOr<HostPort> parsed = HostPort::Parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << parsed.status();
    EXPECT_TRUE(absl::StrContains(parsed.status().message(), "host:port") ||
                absl::StrContains(parsed.status().message(), "65535"))
        << text << ": " << parsed.status();
  }
}

TEST(HostPortTest, AWildcardNamesNoInterface) {
  for (const char* text : {":1", "0.0.0.0:1", "[::]:1"}) {
    EXPECT_TRUE(HostPort::Parse(text)->IsWildcard()) << text;
  }
  for (const char* text : {"127.0.0.1:1", "[::1]:1", "localhost:0", "10.0.0.0:1"}) {
    EXPECT_FALSE(HostPort::Parse(text)->IsWildcard()) << text;
  }
}

}  // namespace
}  // namespace raftkv
