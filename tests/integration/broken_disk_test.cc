// Disks that are full or fail: the server aborts rather than acknowledge, and a restart loses
// nothing acknowledged.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/str_cat.h"
#include "tests/support/single_node.h"
#include "tests/support/small_disk.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;

constexpr ExitStatus kAborted{.code = -1, .signal = SIGABRT};

// Somebody else takes the reserve as well: the disk says no to what is always taken.
TEST(DiskFullAbortTest, WithoutTheReserveItAbortsAndOnceThereIsSpaceNothingAcknowledgedIsMissing) {
  TempDir dir;
  SmallDisk disk(dir.File("disk"), 48);
  if (!disk.mounted()) {
    GTEST_SKIP() << "cannot mount a tmpfs: " << disk.error();
  }
  // The disk itself, so that the server's log is not on it.
  ServerProcess server({.name = "",
                        .data_dir = dir.File("disk"),
                        .listen_client = "127.0.0.1:0",
                        .listen_peer = "127.0.0.1:0",
                        .initial_cluster = "",
                        .flags = {},
                        .env = {}});
  server.Start();
  ASSERT_TRUE(server.WaitReady()) << server.LogTail();
  std::set<std::string> acknowledged;
  {
    NodeClient client(server.client_address());
    const std::string value(128 << 10, 'v');
    for (int i = 0; i < 60; ++i) {
      const std::string key = absl::StrCat("key", i);
      ASSERT_TRUE(client.PutText(key, value, Millis(5000)).ok());
      acknowledged.insert(key);
    }
    disk.Fill(0);
    const std::string absent(4000, 'a');
    for (int i = 0; i < 20'000 && server.running(); ++i) {
      client.Delete(Proto<v1::DeleteRequest>(absl::StrCat("key: '", absent, i, "'")), Millis(5000));
    }
  }
  ASSERT_EQ(server.WaitExit(), kAborted);
  EXPECT_THAT(server.LogTail(60), HasSubstr("space"));
  // While the disk stays full a start may fail, but not with a wrong answer.
  disk.Resize(512);
  server.Start();
  ASSERT_TRUE(server.WaitReady()) << server.LogTail();
  NodeClient client(server.client_address());
  for (const std::string& key : acknowledged) {
    const auto get = client.GetText(key);
    ASSERT_TRUE(get.ok()) << get;
    EXPECT_EQ(get->kv().text().size(), static_cast<size_t>(128 << 10)) << key;
  }
  EXPECT_TRUE(client.PutText("after", "1").ok());
  EXPECT_EQ(server.Stop(), (ExitStatus{.code = 0}));
}

TEST(DiskFullAbortTest, AStartSaysSoAndSucceedsOnceThereIsSpace) {
  TempDir dir;
  SmallDisk disk(dir.File("disk"), 24);
  if (!disk.mounted()) {
    GTEST_SKIP() << "cannot mount a tmpfs: " << disk.error();
  }
  // The disk itself, so that the server's log is not on it.
  ServerProcess server({.name = "",
                        .data_dir = dir.File("disk"),
                        .listen_client = "127.0.0.1:0",
                        .listen_peer = "127.0.0.1:0",
                        .initial_cluster = "",
                        .flags = {},
                        .env = {}});
  server.Start();
  ASSERT_TRUE(server.WaitReady()) << server.LogTail();
  ASSERT_TRUE(NodeClient(server.client_address()).PutText("key", "value").ok());
  ASSERT_EQ(server.Stop(), ExitStatus{.code = 0});

  const std::string filler = dir.File("disk/filler");
  std::ofstream(filler) << std::string(24 << 20, 'x') << std::flush;
  server.Start();
  EXPECT_EQ(server.WaitExit(), ExitStatus{.code = 2});
  EXPECT_THAT(server.Log(), HasSubstr("No space left on device"));

  std::filesystem::remove(filler);
  server.Start();
  ASSERT_TRUE(server.WaitReady()) << server.LogTail();
  EXPECT_EQ(NodeClient(server.client_address()).GetText("key")->kv().text(), "value");
}

TEST(FailedSyncTest, ASingleNodeAbortsWithoutAnAcknowledgement) {
  SingleNode node;
  const std::string marker = node.dir().File("fail");
  node.server().options().env = {absl::StrCat("LD_PRELOAD=", FAIL_SYNC_PATH),
                                 absl::StrCat("FAIL_SYNC_WHILE=", marker)};
  ASSERT_TRUE(node.Start());
  ASSERT_TRUE(node.client().PutText("before", "1").ok());
  WriteFile(marker, "");
  const auto put = node.client().PutText("during", "1");
  EXPECT_FALSE(put.ok()) << "acknowledged without a sync";
  EXPECT_FALSE(put.CertainlyNotApplied()) << "a failed write is unknown, not absent: " << put;
  EXPECT_EQ(node.server().WaitExit(), kAborted);
  std::filesystem::remove(marker);
  ASSERT_TRUE(node.Start());
  EXPECT_EQ(node.client().GetText("before")->kv().text(), "1");
  EXPECT_TRUE(node.client().PutText("during", "2").ok());
}

TEST(FailedSyncTest, ALeaderAbortsAndTheOthersGoOn) {
  TestCluster cluster;
  const std::string marker = cluster.dir().File("fail");
  for (size_t node = 0; node < cluster.size(); ++node) {
    cluster.server(node).options().env = {
        absl::StrCat("LD_PRELOAD=", FAIL_SYNC_PATH),
        absl::StrCat("FAIL_SYNC_WHILE=", marker, TestCluster::Name(node))};
  }
  ASSERT_TRUE(cluster.StartAll());
  const std::optional<size_t> leader = cluster.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  const size_t other = cluster.Other(*leader);
  ASSERT_TRUE(cluster.client(other).PutText("before", "1").ok());
  WriteFile(marker + TestCluster::Name(*leader), "");
  // The quorum does not need the leader's own disk, so this may be acknowledged; then it must stay.
  const auto during = cluster.client(other).PutText("during", "1");
  EXPECT_EQ(cluster.server(*leader).WaitExit(), kAborted);
  ASSERT_TRUE(cluster.WaitForLeader().has_value());
  EXPECT_EQ(cluster.client(other).GetText("before")->kv().text(), "1");
  if (during.ok()) {
    EXPECT_EQ(cluster.client(other).GetText("during")->kv().text(), "1");
  }
  ASSERT_TRUE(cluster.client(other).PutText("after", "1").ok());
  std::filesystem::remove(marker + TestCluster::Name(*leader));
  ASSERT_TRUE(cluster.StartAll());
  ASSERT_TRUE(cluster.WaitUntilEqual());
  EXPECT_EQ(cluster.client(*leader).GetText("after")->kv().text(), "1");
}

TEST(FailedSyncTest, AStartThatCannotSyncDoesNotBecomeReady) {
  TempDir dir;
  WriteFile(dir.File("fail"), "");
  ServerProcess server({.name = "",
                        .data_dir = dir.File("data"),
                        .listen_client = "127.0.0.1:0",
                        .listen_peer = "127.0.0.1:0",
                        .initial_cluster = "",
                        .flags = {},
                        .env = {absl::StrCat("LD_PRELOAD=", FAIL_SYNC_PATH),
                                absl::StrCat("FAIL_SYNC_WHILE=", dir.File("fail"))}});
  server.Start();
  EXPECT_FALSE(server.WaitReady());
  const std::optional<ExitStatus> exit = server.WaitExit();
  EXPECT_TRUE(exit == kAborted || exit == ExitStatus{.code = 2}) << server.LogTail();
}

}  // namespace
}  // namespace raftkv::integration
