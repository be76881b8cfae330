// A member that came back without its directory and without --initial_cluster founds a cluster of
// its own on the same addresses: everybody who meets it says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::AllOf;
using testing::ContainsRegex;
using testing::HasSubstr;

class StrayMemberTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    ASSERT_TRUE(cluster_.client(0).PutText("a", "1").ok());
    const std::optional<size_t> leader = cluster_.WaitForLeader();
    ASSERT_TRUE(leader.has_value());
    leader_ = *leader;
    stray_ = cluster_.Other(leader_);
    cluster_id_ = cluster_.client(leader_).GetStatus()->header().cluster_id();
    cluster_.server(stray_).Kill9();
    std::filesystem::remove_all(cluster_.data_dir(stray_));
    cluster_.server(stray_).options().initial_cluster = "";
    ASSERT_TRUE(cluster_.Start(stray_));
    ASSERT_TRUE(WaitUntil(Millis(10000), [&] {
      stray_id_ = cluster_.client(stray_).GetStatus()->header().cluster_id();
      return stray_id_ != 0;
    }));
    ASSERT_NE(stray_id_, cluster_id_);
  }

  // Whether the member's log comes to say all of this.
  void ExpectLogged(size_t node, const std::string& regex) {
    EXPECT_TRUE(WaitUntil(
        Millis(10000),
        [&] { return testing::Matches(ContainsRegex(regex))(cluster_.server(node).Log()); }))
        << regex << cluster_.server(node).LogTail();
  }

  TestCluster cluster_;
  size_t leader_ = 0;
  size_t stray_ = 0;
  uint64_t cluster_id_ = 0;
  uint64_t stray_id_ = 0;
};

TEST_F(StrayMemberTest, BothSidesLogWhatTheyFound) {
  ExpectLogged(leader_, absl::StrCat("member ", TestCluster::Id(stray_),
                                     " .* does not take entries: ", ".*of cluster ", cluster_id_,
                                     ".*of cluster ", stray_id_));
  ExpectLogged(stray_, absl::StrCat("member ", TestCluster::Id(leader_), " of cluster ",
                                    cluster_id_, " calls this address .* cluster ", stray_id_,
                                    " all by itself.*--data_dir=", cluster_.data_dir(stray_)));
  EXPECT_TRUE(cluster_.server(stray_).running());
}

TEST_F(StrayMemberTest, RaftkvctlTellsTheClustersApart) {
  std::vector<std::string> endpoints;
  for (size_t node = 0; node < cluster_.size(); ++node) {
    endpoints.push_back(cluster_.client_address(node));
  }
  for (const char* command : {"status", "health"}) {
    const CommandResult result = RunCommand(
        {RaftkvctlPath(), "--endpoints", absl::StrJoin(endpoints, ","), "endpoint", command});
    EXPECT_EQ(result.exit, (ExitStatus{.code = 5})) << result;
    EXPECT_THAT(result.err, AllOf(HasSubstr("of 2 clusters"), HasSubstr(absl::StrCat(cluster_id_)),
                                  HasSubstr(absl::StrCat(stray_id_))));
  }
}

}  // namespace
}  // namespace raftkv::integration
