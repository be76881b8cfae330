// Members of two versions in one cluster, under load. The newer is raftkvd with
// tests/support/next_command_version.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "tests/support/client_load.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

// What of the load is to succeed before the next member is rolled.
constexpr uint64_t kMore = 200;

class RollingUpgradeTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.StartAll()); }

  // Restarts a member as this version, as an operator would: SIGTERM, start, wait.
  void Roll(size_t node, const std::string& program) {
    ServerProcess& server = cluster_.server(node);
    ASSERT_EQ(server.Stop(), ExitStatus{.code = 0}) << server.LogTail();
    server.options().program = program;
    ASSERT_TRUE(cluster_.Start(node));
    ASSERT_TRUE(cluster_.WaitForLeader().has_value());
  }
  Reply<v1::PutResponse> PutNew(size_t node) {
    return cluster_.client(node).PutText("next/a", "1");
  }

  const std::string older_;
  const std::string newer_ = RAFTKVD_NEXT_PATH;
  TestCluster cluster_;
};

TEST_F(RollingUpgradeTest, UpAndBackAndUpForGood) {
  ClientLoad load(
      {cluster_.client_address(0), cluster_.client_address(1), cluster_.client_address(2)},
      /*clients=*/4);
  for (const size_t node : {0, 1}) {
    Roll(node, newer_);
    load.AwaitMore(kMore);
    const auto refused = PutNew(node);
    EXPECT_EQ(refused.status.error_code(), grpc::StatusCode::UNIMPLEMENTED) << refused;
    EXPECT_EQ(refused.reason, "MEMBER_TOO_OLD") << refused;
  }
  for (const size_t node : {1, 0}) {
    Roll(node, older_);
    load.AwaitMore(kMore);
  }
  for (size_t node = 0; node < cluster_.size(); ++node) {
    Roll(node, newer_);
    load.AwaitMore(kMore);
  }
  for (size_t node = 0; node < cluster_.size(); ++node) {
    EXPECT_TRUE(WaitUntil(Millis(10000), [&] { return PutNew(node).ok(); }))
        << "every member is of the next version";
    EXPECT_TRUE(WaitUntil(Millis(5000), [&] {
      return absl::StrContains(cluster_.server(node).Log(),
                               "of version 3: that is the cluster version now");
    }));
  }

  ServerProcess& server = cluster_.server(0);
  ASSERT_EQ(server.Stop(), ExitStatus{.code = 0});
  server.options().program = older_;
  server.Start();
  EXPECT_EQ(server.WaitExit(), ExitStatus{.code = 2}) << server.LogTail();
  EXPECT_THAT(server.Log(), HasSubstr("start the newer version of raftkv"));
  server.options().program = newer_;
  ASSERT_TRUE(cluster_.Start(0));
  load.AwaitMore(kMore);
  load.Stop();
  EXPECT_THAT(load.failures(), IsEmpty());
}

}  // namespace
}  // namespace raftkv::integration
