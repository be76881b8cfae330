#include "server/effective_configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "server/config_file.h"

namespace raftkv::server {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(DescribeConfigurationTest, SaysWhatIsSetAndWhere) {
  ServerOptions options;
  EXPECT_THAT(DescribeConfiguration(options),
              StartsWith("configuration: nothing is set; defaults: name=\"default\", "));
  options.name = "n1";
  options.memory_bytes_max = int64_t{1} << 30;
  options.reflection = false;
  options.data_dir = "two\nlines";
  options.sources = {
      {"name", "environment"}, {"memory_bytes_max", "file a.yaml:3:1"}, {"reflection", "flag"}};
  const std::string line = DescribeConfiguration(options);
  EXPECT_THAT(line, StartsWith("configuration: name=\"n1\" (environment), "
                               "memory_bytes_max=1GiB (file a.yaml:3:1), "
                               "reflection=false (flag); defaults: data_dir=\"two\\nlines\", "));
  EXPECT_THAT(line, HasSubstr("heartbeat_interval_ms=100"));
  EXPECT_THAT(line, Not(HasSubstr("\n")));
}

TEST(WriteConfigurationTest, IsAFileThatMeansTheSame) {
  ServerOptions options;
  options.data_dir = "/a \"b\"\\ 'c' \\' # d: e";
  options.config = "somewhere.yaml";
  options.disk_reserve_bytes = 20 << 20;
  options.sources = {{"data_dir", "flag"}};
  const auto entries = ParseConfig("x", WriteConfiguration(options));
  ASSERT_TRUE(entries.ok()) << entries.status();
  size_t next = 0;
  for (const Option& option : Option::Table()) {
    if (option.name != "config") {
      ASSERT_LT(next, entries->size());
      EXPECT_EQ((*entries)[next].key, option.name);
      EXPECT_EQ((*entries)[next].value, option.TextIn(options)) << option.name;
      ++next;
    }
  }
  EXPECT_EQ(next, entries->size());
  EXPECT_THAT(WriteConfiguration(options), HasSubstr("# config: \"somewhere.yaml\"  # default\n"));
  EXPECT_THAT(WriteConfiguration(options), HasSubstr("disk_reserve_bytes: 20MiB  # default\n"));
}

}  // namespace
}  // namespace raftkv::server
