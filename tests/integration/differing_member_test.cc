// A member whose applied state is not the cluster's: the others find out, and it stops before it
// answers for long.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "kv/state_hash.h"
#include "storage/key_layout.h"
#include "tests/storage/store_fixture.h"
#include "tests/support/test_cluster.h"
#include "tests/support/wait.h"

namespace raftkv::integration {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

// Two audits at least.
constexpr Millis kFoundWithin(15'000);

class DifferingMemberTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    const std::optional<size_t> leader = cluster_.WaitForLeader();
    ASSERT_TRUE(leader.has_value());
    leader_ = *leader;
    follower_ = cluster_.Other(leader_);
    other_ = cluster_.Other(follower_);
    ASSERT_TRUE(cluster_.client(leader_).PutText("key", "right").ok());
    ASSERT_TRUE(cluster_.WaitUntilEqual());
  }

  // Exchanges the value of the key in the database of a member that does not run, as if a command
  // had had another meaning there: all that the member has of it fits together.
  void Bend(size_t node) {
    const std::string database = cluster_.data_dir(node) + "/db";
    const std::vector<std::string> families =
        storage::GenerationFamilies(storage::kFirstGeneration);
    const std::string& state = families[0];
    const std::string& latest = families[1];
    const std::string record = Row(database, latest, "key");
    const std::optional<storage::LatestRecord> before = storage::DecodeAndHashRecord("key", record);
    ASSERT_TRUE(before.has_value());
    ASSERT_EQ(before->value, "right");
    std::string bent;
    storage::EncodeRecordHeader(before->header, &bent);
    bent += "wrong";
    storage::OverwriteRow(database, latest, "key", bent);
    std::optional<kv::AppliedState> applied =
        storage::DecodeAppliedState(Row(database, state, storage::kAppliedKey));
    ASSERT_TRUE(applied.has_value());
    applied->rows_hash += kv::RowHash("key", before->header, "wrong") - before->header.row_hash;
    storage::OverwriteRow(database, state, storage::kAppliedKey,
                          storage::EncodeAppliedState(*applied));
  }
  static std::string Row(const std::string& database, const std::string& family,
                         const std::string& key) {
    for (const auto& [row_key, value] : storage::DumpFamily(database, family)) {
      if (row_key == key) {
        return value;
      }
    }
    ADD_FAILURE() << "no row " << key << " in " << family;
    return "";
  }

  // It stops by itself, for good.
  void ExpectStopsForGood(size_t node) {
    ServerProcess& server = cluster_.server(node);
    EXPECT_EQ(server.WaitExit(kFoundWithin), kDirectoryUnusable) << server.LogTail();
    EXPECT_THAT(server.Log(),
                AllOf(HasSubstr("this member's state after entry"),
                      HasSubstr("but that of most voters has"), HasSubstr("Keep this directory")));
    EXPECT_TRUE(fs::exists(cluster_.data_dir(node) + "/DIFFERS"));
    server.Start();
    EXPECT_EQ(server.WaitExit(), kDirectoryUnusable) << server.LogTail();
    EXPECT_THAT(server.Log(),
                AllOf(HasSubstr("/DIFFERS says: this member's state after entry"),
                      HasSubstr("until it can be replaced"), Not(HasSubstr("raftkvd ready"))));
  }
  void ExpectServes(size_t node, const std::string& value) {
    EXPECT_EQ(cluster_.client(node).GetText("key")->kv().text(), "right");
    EXPECT_TRUE(cluster_.client(node).PutText("after", value).ok());
    EXPECT_EQ(cluster_.client(node).GetText("after")->kv().text(), value);
  }
  std::vector<std::string> Warnings(size_t node) {
    const auto status = cluster_.client(node).GetStatus();
    EXPECT_TRUE(status.ok()) << status;
    return {status->warnings().begin(), status->warnings().end()};
  }

  TestCluster cluster_;
  size_t leader_ = 0;
  size_t follower_ = 0;
  size_t other_ = 0;
};

// Nothing is written meanwhile.
TEST_F(DifferingMemberTest, AFollowerStopsAndTheOthersGoOn) {
  cluster_.server(follower_).Kill9();
  Bend(follower_);
  cluster_.server(follower_).Start();
  ExpectStopsForGood(follower_);
  EXPECT_THAT(cluster_.server(follower_).Log(), Not(HasSubstr("won the election")));
  EXPECT_THAT(cluster_.server(leader_).Log(), HasSubstr("it is told to stop"));
  EXPECT_EQ(cluster_.WaitForLeader(), leader_);
  ExpectServes(leader_, "1");
  ExpectServes(other_, "2");
}

// Alone with one other voter it cannot tell who is right. With the third there is a majority.
TEST_F(DifferingMemberTest, ALeaderStopsOnceMostAgreeAgainstIt) {
  // The leader alone has an entry more, so of it and one other only it can win an election.
  cluster_.Pause(follower_);
  cluster_.Pause(other_);
  EXPECT_FALSE(cluster_.client(leader_).PutText("unfinished", "1", Millis(500)).ok());
  cluster_.KillAll();
  Bend(leader_);
  ASSERT_TRUE(cluster_.Start(leader_));
  ASSERT_TRUE(cluster_.Start(follower_));
  ASSERT_EQ(cluster_.WaitForLeader(), leader_);
  EXPECT_THAT(Warnings(follower_), Not(Contains(HasSubstr("differ"))));
  const auto is_in_doubt = HasSubstr("no majority of the voters has the same");
  EXPECT_TRUE(WaitUntil(kFoundWithin, [&] {
    return testing::Matches(Contains(is_in_doubt))(Warnings(leader_));
  })) << cluster_.server(leader_).LogTail();
  EXPECT_THAT(cluster_.server(leader_).Log(), is_in_doubt);
  EXPECT_TRUE(cluster_.server(leader_).running());
  EXPECT_TRUE(cluster_.server(follower_).running());

  cluster_.server(other_).Start();
  ExpectStopsForGood(leader_);
  const std::optional<size_t> next = cluster_.WaitForLeader();
  ASSERT_TRUE(next.has_value());
  EXPECT_NE(*next, leader_);
  ExpectServes(follower_, "1");
  ExpectServes(other_, "2");
  EXPECT_THAT(Warnings(*next), Not(Contains(is_in_doubt)));
}

}  // namespace
}  // namespace raftkv::integration
