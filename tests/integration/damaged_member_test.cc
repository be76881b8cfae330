// A member whose files were damaged, or replaced by older ones, while it was stopped: it is found
// out, by itself or by the others, and never answers otherwise than the cluster does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/single_node.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

namespace fs = std::filesystem;

using testing::AnyOf;
using testing::HasSubstr;

// Breaks the tables of a member that has stopped where they hold the value of a key. Returns how
// many there are.
size_t BreakTablesWith(const std::string& value, const std::string& data_dir) {
  size_t damaged = 0;
  for (const auto& entry : fs::recursive_directory_iterator(data_dir)) {
    std::string bytes = entry.path().extension() == ".sst" ? ReadFile(entry.path()) : "";
    const size_t at = bytes.find(value);
    // The log holds the value, too; a table names its family.
    if (at != std::string::npos && absl::StrContains(bytes, "latest")) {
      bytes[at + 7] = static_cast<char>(bytes[at + 7] ^ 1);
      WriteFile(entry.path(), bytes);
      ++damaged;
    }
  }
  return damaged;
}

class DamagedMemberTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    const std::optional<size_t> leader = cluster_.WaitForLeader();
    ASSERT_TRUE(leader.has_value());
    leader_ = *leader;
    victim_ = cluster_.Other(leader_);
  }

  void Put(const std::string& key, const std::string& value) {
    ASSERT_TRUE(cluster_.client(leader_).PutText(key, value).ok());
  }
  void ExpectUnusable(const std::vector<std::string>& mentioned) {
    ServerProcess& server = cluster_.server(victim_);
    EXPECT_EQ(server.WaitExit(), kDirectoryUnusable) << server.LogTail();
    for (const std::string& word : mentioned) {
      EXPECT_THAT(server.Log(), HasSubstr(word));
    }
  }

  TestCluster cluster_;
  size_t leader_ = 0;
  size_t victim_ = 0;
};

// All its files fit together, so only the others can know.
TEST_F(DamagedMemberTest, LeaderRefusesAnOlderCopyOfTheDirectory) {
  Put("key", "old");
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  cluster_.server(victim_).Kill9();
  const fs::path directory = cluster_.data_dir(victim_);
  const fs::path older = cluster_.dir().File("older");
  const fs::path newer = cluster_.dir().File("newer");
  fs::copy(directory, older, fs::copy_options::recursive);
  ASSERT_TRUE(cluster_.Start(victim_));
  Put("key", "new");
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  cluster_.server(victim_).Kill9();
  fs::rename(directory, newer);
  fs::rename(older, directory);

  cluster_.server(victim_).Start();
  ExpectUnusable({"has lost what this member acknowledged", directory.string(), "older copy"});
  EXPECT_EQ(cluster_.client(leader_).GetText("key")->kv().text(), "new");

  // Put back, it is welcome.
  fs::remove_all(directory);
  fs::rename(newer, directory);
  ASSERT_TRUE(cluster_.Start(victim_));
  ASSERT_TRUE(cluster_.WaitUntilEqual());
}

// A broken block shows when it is read: the reader is told, and the member stops.
TEST_F(DamagedMemberTest, WhoMeetsABrokenBlockSaysSoAndStops) {
  const std::string value(2000, 'v');
  Put("key", value);
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  ServerProcess& server = cluster_.server(victim_);
  server.Kill9();
  ASSERT_TRUE(cluster_.Start(victim_));  // Turns its WAL into tables.
  server.Kill9();
  ASSERT_GT(BreakTablesWith(value, cluster_.data_dir(victim_)), 0U);

  server.Start();
  ASSERT_TRUE(server.WaitReady());
  v1::GetRequest get;
  get.set_key("key");
  const auto reply = cluster_.client(victim_).Get(get);
  // A compaction may meet the block before the reader does.
  EXPECT_THAT(reply.status.error_code(),
              AnyOf(grpc::StatusCode::DATA_LOSS, grpc::StatusCode::UNAVAILABLE))
      << reply;
  ExpectUnusable({"checksum mismatch", ".sst", "The other members hold the data"});
  EXPECT_EQ(cluster_.client(leader_).GetText("key")->kv().text(), value);
}

// Nobody else could lead here, so it would win any election.
TEST(DamagedLeaderTest, StepsDownAtOnceAndDoesNotCampaign) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  const std::string value(2000, 'v');
  ASSERT_TRUE(node.client().PutText("key", value).ok());
  node.server().Kill9();
  ASSERT_TRUE(node.Start());  // Turns its WAL into tables.
  node.server().Kill9();
  ASSERT_GT(BreakTablesWith(value, node.data_dir()), 0U);

  ASSERT_TRUE(node.Start());
  EXPECT_FALSE(node.client().GetText("key").ok());
  EXPECT_EQ(node.server().WaitExit(), kDirectoryUnusable) << node.server().LogTail();
  const std::string log = node.server().Log();
  const size_t stepped_down = log.find("must not lead any more");
  ASSERT_NE(stepped_down, std::string::npos) << node.server().LogTail();
  EXPECT_EQ(log.find("candidate", stepped_down), std::string::npos) << node.server().LogTail();
}

}  // namespace
}  // namespace raftkv::integration
