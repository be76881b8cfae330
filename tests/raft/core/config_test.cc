#include "raft/core/config.h"

#include <functional>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace raftkv::raft {
namespace {

RaftConfig ValidConfig() {
  RaftConfig config;
  config.self = NodeId(1);
  return config;
}

TEST(RaftConfigTest, DefaultsAreValid) { EXPECT_TRUE(ValidConfig().Validate().ok()); }

TEST(RaftConfigTest, NamesTheFieldTheValueAndTheBound) {
  RaftConfig config = ValidConfig();
  config.election_timeout_ticks = 49;
  EXPECT_EQ(config.Validate().message(),
            "RaftConfig.election_timeout_ticks is 49, must be at least 50");
}

TEST(RaftConfigTest, PrioritiesHaveABound) {
  RaftConfig config = ValidConfig();
  config.priority = 1000;
  EXPECT_TRUE(config.Validate().ok());
  config.priority = 1001;
  EXPECT_EQ(config.Validate().message(), "RaftConfig.priority is 1001, must be at most 1000");
}

TEST(RaftConfigTest, RefusesEveryFieldBelowItsBound) {
  const std::vector<std::pair<std::string, std::function<void(RaftConfig&)>>> changes = {
      {"self", [](RaftConfig& c) { c.self = kNobody; }},
      {"heartbeat_ticks", [](RaftConfig& c) { c.heartbeat_ticks = 0; }},
      {"election_timeout_ticks", [](RaftConfig& c) { c.election_timeout_ticks = 0; }},
      {"append_bytes_max", [](RaftConfig& c) { c.append_bytes_max = 0; }},
      {"inflight_appends_max", [](RaftConfig& c) { c.inflight_appends_max = 0; }},
      {"inflight_bytes_max", [](RaftConfig& c) { c.inflight_bytes_max = 1; }},
      {"log_memory_bytes_max", [](RaftConfig& c) { c.log_memory_bytes_max = 1; }},
      {"uncommitted_bytes_max", [](RaftConfig& c) { c.uncommitted_bytes_max = 1; }},
  };
  for (const auto& [field, change] : changes) {
    RaftConfig config = ValidConfig();
    change(config);
    EXPECT_EQ(config.Validate().code(), absl::StatusCode::kInvalidArgument) << field;
    EXPECT_THAT(std::string(config.Validate().message()), testing::HasSubstr("." + field + " is"));
  }
}

}  // namespace
}  // namespace raftkv::raft
