// Members that are rather to lead than others (--priority).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;

class PriorityTest : public testing::Test {
 protected:
  void SetUp() override {
    for (size_t node = 0; node < cluster_.size(); ++node) {
      SetPriority(node, node);
    }
    ASSERT_TRUE(cluster_.StartAll());
  }

  // From its next start on.
  void SetPriority(size_t node, uint64_t priority) {
    std::vector<std::string>& flags = cluster_.server(node).options().flags;
    std::erase_if(flags, [](const std::string& flag) { return flag.starts_with("--priority="); });
    flags.push_back(absl::StrCat("--priority=", priority));
  }

  // As clients of `node` are told.
  std::vector<uint64_t> Priorities(size_t node) {
    std::vector<uint64_t> priorities;
    const auto members = cluster_.client(node).ListMembers();
    for (int i = 0; members.ok() && i < members->members_size(); ++i) {
      priorities.push_back(members->members(i).priority());
    }
    return priorities;
  }

  // Handovers by priority take five election timeouts at least.
  bool ComesToLead(size_t node) {
    return WaitUntil(Millis(30000), [&] { return cluster_.WaitForLeader() == node; });
  }

  TestCluster cluster_{{.flags = {"--heartbeat_interval_ms=50", "--election_timeout_ms=500"}}};
};

TEST_F(PriorityTest, TheHighestThatIsThereLeadsAndZeroOnlyWhereNoOtherCan) {
  EXPECT_TRUE(ComesToLead(2));
  ASSERT_TRUE(WaitUntil(Millis(15000), [&] {
    return Priorities(0) == std::vector<uint64_t>{0, 1, 2};
  })) << testing::PrintToString(Priorities(0));

  cluster_.server(2).Kill9();
  EXPECT_TRUE(ComesToLead(1));
  EXPECT_TRUE(cluster_.client(1).PutText("a", "1").ok());

  // It is not to lead any more, nor does it.
  SetPriority(2, 0);
  ASSERT_TRUE(cluster_.Start(2));
  ASSERT_TRUE(WaitUntil(Millis(15000), [&] {
    return Priorities(0) == std::vector<uint64_t>{0, 1, 0} &&
           Priorities(2) == std::vector<uint64_t>{0, 1, 0};
  }));
  EXPECT_EQ(cluster_.WaitForLeader(), 1u);

  // Of those that are left each has 0.
  cluster_.server(1).Kill9();
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  EXPECT_TRUE(cluster_.client(*leader).PutText("a", "2").ok());

  ASSERT_TRUE(cluster_.Start(1));
  EXPECT_TRUE(ComesToLead(1));
  EXPECT_THAT(cluster_.server(*leader).Log(), HasSubstr("to node 2, which has a higher priority"));
  EXPECT_TRUE(cluster_.client(1).PutText("a", "3").ok());
}

TEST_F(PriorityTest, AStoppedLeaderHandsToTheHighestThatIsLeft) {
  EXPECT_TRUE(ComesToLead(2));
  ASSERT_TRUE(WaitUntil(Millis(15000), [&] {
    return Priorities(2) == std::vector<uint64_t>{0, 1, 2};
  }));
  EXPECT_EQ(cluster_.server(2).Stop(), (ExitStatus{.code = 0}));
  EXPECT_EQ(cluster_.WaitForLeader(), 1u);
}

}  // namespace
}  // namespace raftkv::integration
