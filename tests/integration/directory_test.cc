// Data directories that must not be used: each is refused with exit 2 and a line that says what to
// do, and nothing is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/single_node.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

namespace fs = std::filesystem;

using testing::AllOf;
using testing::HasSubstr;

// The line in which a program that gives up says why.
std::string Reason(const std::string& log) {
  for (absl::string_view line : absl::StrSplit(log, '\n')) {
    if (absl::StartsWith(line, "raftkvd: ")) {
      return std::string(line);
    }
  }
  return "";
}

void ExpectRefused(ServerProcess* server, const std::vector<std::string>& mentioned) {
  EXPECT_EQ(server->WaitExit(Millis(15000)), kDirectoryUnusable) << server->LogTail();
  for (const std::string& word : mentioned) {
    EXPECT_THAT(Reason(server->Log()), HasSubstr(word));
  }
}

fs::path LargestFile(const fs::path& folder, const std::string& extension) {
  fs::path largest;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == extension &&
        (largest.empty() || entry.file_size() > fs::file_size(largest))) {
      largest = entry.path();
    }
  }
  return largest;
}

void FlipByte(const fs::path& path, std::streamoff at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const auto byte = static_cast<char>(file.get() ^ 0x55);
  file.seekp(at);
  file.put(byte);
  ASSERT_TRUE(file.flush());
}

TEST(DirectoryTest, OneProcessAtATime) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  // The last --data_dir counts; the first gives the second process a log of its own.
  ServerProcess second({.name = "",
                        .data_dir = node.dir().File("second"),
                        .listen_client = "127.0.0.1:0",
                        .listen_peer = "127.0.0.1:0",
                        .initial_cluster = "",
                        .flags = {"--data_dir=" + node.data_dir()},
                        .env = {}});
  second.Start();
  ExpectRefused(&second, {node.data_dir()});
  EXPECT_TRUE(node.client().PutText("a", "1").ok());
}

TEST(DirectoryTest, AnotherNameIsRefused) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  node.server().Kill9();
  node.server().options().name = "other";
  node.server().Start();
  ExpectRefused(&node.server(), {"default", "other"});
  node.server().options().name = "default";
  ASSERT_TRUE(node.Start());
}

TEST(DirectoryTest, AnotherFormatIsRefusedAndLeftAlone) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  ASSERT_TRUE(node.client().PutText("a", "1").ok());
  node.server().Kill9();
  const std::string file = node.data_dir() + "/FORMAT";
  const std::string ours = ReadFile(file);
  ASSERT_TRUE(absl::StartsWith(ours, "raftkv ")) << ours;
  for (const char* theirs : {"raftkv 99\n", "something else\n", ""}) {
    WriteFile(file, theirs);
    node.server().Start();
    ExpectRefused(&node.server(), {"FORMAT"});
    EXPECT_EQ(ReadFile(file), theirs);
  }
  WriteFile(file, ours);
  ASSERT_TRUE(node.Start());
  EXPECT_EQ(node.client().GetText("a")->kv().text(), "1");
}

TEST(DirectoryTest, ADirectoryWithOnlyLostAndFoundIsFresh) {
  SingleNode node;
  fs::create_directories(node.data_dir() + "/lost+found");
  ASSERT_TRUE(node.Start());
  EXPECT_TRUE(node.client().PutText("a", "1").ok());
}

TEST(DirectoryTest, APlaceThatCannotHoldADirectoryIsRefused) {
  TempDir dir;
  WriteFile(dir.File("file"), "x");
  for (const std::string& place : {dir.File("file"), std::string("/proc/raftkv")}) {
    const CommandResult result =
        RunRaftkvd({"--listen_client=127.0.0.1:0", "--listen_peer=127.0.0.1:0",
                    "--listen_http=", "--data_dir=" + place});
    EXPECT_EQ(result.exit, kDirectoryUnusable) << result;
    EXPECT_THAT(Reason(result.err), HasSubstr(place));
  }
}

class CorruptionTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(node_.Start());
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(node_.client().PutText(absl::StrCat("key", i), std::string(1000, 'x')).ok());
    }
    node_.server().Kill9();
  }

  void ExpectRefusedThenRepaired(const fs::path& damaged, const std::string& original) {
    node_.server().Start();
    ExpectRefused(&node_.server(), {});
    EXPECT_THAT(node_.server().Log(), HasSubstr(node_.data_dir()));
    WriteFile(damaged, original);
    ASSERT_TRUE(node_.Start()) << "refusing has changed nothing";
    EXPECT_EQ(node_.client().GetStatus()->key_count(), 100);
  }

  SingleNode node_;
};

TEST_F(CorruptionTest, AFlippedByteInTheLogIsRefused) {
  const fs::path wal = LargestFile(node_.data_dir(), ".log");
  ASSERT_FALSE(wal.empty());
  const std::string original = ReadFile(wal);
  // In the values of the first half, where something acknowledged follows.
  FlipByte(wal, static_cast<std::streamoff>(original.find(std::string(500, 'x')) + 100));
  ExpectRefusedThenRepaired(wal, original);
}

TEST_F(CorruptionTest, ABrokenManifestIsRefused) {
  fs::path manifest;
  for (const auto& entry : fs::recursive_directory_iterator(node_.data_dir())) {
    if (absl::StartsWith(entry.path().filename().string(), "MANIFEST")) {
      manifest = entry.path();
    }
  }
  ASSERT_FALSE(manifest.empty());
  const std::string original = ReadFile(manifest);
  FlipByte(manifest, static_cast<std::streamoff>(original.size() / 2));
  ExpectRefusedThenRepaired(manifest, original);
}

TEST_F(CorruptionTest, AMissingFileIsRefused) {
  fs::path current;
  for (const auto& entry : fs::recursive_directory_iterator(node_.data_dir())) {
    if (entry.path().filename() == "CURRENT") {
      current = entry.path();
    }
  }
  ASSERT_FALSE(current.empty());
  const std::string original = ReadFile(current);
  fs::remove(current);
  ExpectRefusedThenRepaired(current, original);
}

class WipedMemberTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    ASSERT_TRUE(cluster_.client(0).PutText("before", "1").ok());
    ASSERT_TRUE(cluster_.WaitUntilEqual());
  }

  // Takes a stopped member's directory away, or brings it back.
  void Wipe(size_t node) { fs::rename(cluster_.data_dir(node), Kept(node)); }
  void BringBack(size_t node) {
    fs::remove_all(cluster_.data_dir(node));
    fs::rename(Kept(node), cluster_.data_dir(node));
  }
  std::string Kept(size_t node) const { return cluster_.data_dir(node) + ".kept"; }

  void ExpectWipedRefused(size_t node) {
    EXPECT_EQ(cluster_.server(node).WaitExit(Millis(15000)), kDirectoryUnusable)
        << cluster_.server(node).LogTail();
    EXPECT_THAT(Reason(cluster_.server(node).Log()),
                AllOf(HasSubstr(TestCluster::Name(node)), HasSubstr(cluster_.data_dir(node))));
  }

  TestCluster cluster_;
};

TEST_F(WipedMemberTest, OneOfThreeIsRefusedAndTheOthersGoOn) {
  cluster_.server(2).Kill9();
  Wipe(2);
  for (int starts = 0; starts < 2; ++starts) {
    cluster_.server(2).Start();
    ExpectWipedRefused(2);
    ASSERT_TRUE(cluster_.client(0).PutText(absl::StrCat("during", starts), "2").ok());
    EXPECT_EQ(cluster_.client(1).GetText("before")->kv().text(), "1");
  }
  BringBack(2);
  ASSERT_TRUE(cluster_.StartAll());
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  EXPECT_EQ(cluster_.client(2).GetText("during1")->kv().text(), "2");
}

TEST_F(WipedMemberTest, TwoOfThreeAreRefusedWhenTheIntactOneIsUp) {
  cluster_.KillAll();
  Wipe(1);
  Wipe(2);
  ASSERT_TRUE(cluster_.Start(0));
  cluster_.server(1).Start();
  cluster_.server(2).Start();
  ExpectWipedRefused(1);
  ExpectWipedRefused(2);
  EXPECT_EQ(cluster_.client(0).GetStale("before")->kv().text(), "1");
  EXPECT_FALSE(cluster_.client(0).PutText("during", "x", Millis(1500)).ok());
  BringBack(1);
  BringBack(2);
  ASSERT_TRUE(cluster_.StartAll());
  ASSERT_TRUE(cluster_.client(1).PutText("after", "1").ok());
  for (size_t node = 0; node < cluster_.size(); ++node) {
    EXPECT_EQ(cluster_.client(node).GetText("before")->kv().text(), "1");
  }
}

TEST_F(WipedMemberTest, TwoOfThreeFoundNothingWhileTheIntactOneIsDown) {
  cluster_.KillAll();
  Wipe(1);
  Wipe(2);
  ASSERT_TRUE(cluster_.Start(1));
  ASSERT_TRUE(cluster_.Start(2));
  EXPECT_FALSE(cluster_.client(1).PutText("during", "x", Millis(2500)).ok())
      << "two empty directories of three must not become a cluster";
  EXPECT_EQ(cluster_.client(1).GetStatus()->header().cluster_id(), 0U);
  ASSERT_TRUE(cluster_.Start(0));
  ExpectWipedRefused(1);
  ExpectWipedRefused(2);
  EXPECT_EQ(cluster_.client(0).GetStale("before")->kv().text(), "1");
  BringBack(1);
  BringBack(2);
  ASSERT_TRUE(cluster_.StartAll());
  EXPECT_EQ(cluster_.client(2).GetText("before")->kv().text(), "1");
}

TEST_F(WipedMemberTest, ADirectoryOfAnotherClusterIsRefused) {
  // Another cluster, founded from the same list: same names, same addresses.
  cluster_.KillAll();
  const uint64_t first_id = [&] {
    EXPECT_TRUE(cluster_.StartAll());
    return cluster_.client(0).GetStatus()->header().cluster_id();
  }();
  cluster_.KillAll();
  for (size_t node = 0; node < cluster_.size(); ++node) {
    Wipe(node);
  }
  ASSERT_TRUE(cluster_.StartAll());
  EXPECT_NE(cluster_.client(0).GetStatus()->header().cluster_id(), first_id);
  EXPECT_FALSE(cluster_.client(0).GetText("before")->has_kv());
  ASSERT_TRUE(cluster_.client(0).PutText("second", "1").ok());

  cluster_.server(2).Kill9();
  fs::rename(cluster_.data_dir(2), cluster_.data_dir(2) + ".second");
  fs::rename(Kept(2), cluster_.data_dir(2));
  cluster_.server(2).Start();
  ASSERT_EQ(cluster_.server(2).WaitExit(Millis(15000)), kDirectoryUnusable)
      << cluster_.server(2).LogTail();
  ASSERT_TRUE(cluster_.client(0).PutText("second", "2").ok());
  EXPECT_FALSE(cluster_.client(1).GetText("before")->has_kv());

  fs::remove_all(cluster_.data_dir(2));
  fs::rename(cluster_.data_dir(2) + ".second", cluster_.data_dir(2));
  ASSERT_TRUE(cluster_.StartAll());
  EXPECT_EQ(cluster_.client(2).GetText("second")->kv().text(), "2");
}

// A member whose database came back without what it acknowledged.
class LostLogTest : public testing::Test {
 protected:
  static constexpr size_t kMember = 2;
  static constexpr int kKeys = 60;

  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    for (int i = 0; i < kKeys; ++i) {
      ASSERT_TRUE(cluster_.client(0).PutText(absl::StrCat("key", i), std::string(500, 'x')).ok());
    }
    ASSERT_TRUE(cluster_.WaitUntilEqual());
  }

  std::string data_dir() const { return cluster_.data_dir(kMember); }

  // The write-ahead log with the highest number that holds something.
  fs::path NewestWal() const {
    fs::path newest;
    for (const auto& entry : fs::directory_iterator(data_dir() + "/db")) {
      if (entry.path().extension() == ".log" && entry.file_size() > 0 &&
          entry.path().filename() > newest.filename()) {
        newest = entry.path();
      }
    }
    return newest;
  }

  // Starts the member: it must neither vote nor acknowledge, and say what to do.
  void ExpectRefusedWhileTheOthersGoOn(const std::vector<std::string>& mentioned) {
    for (int starts = 0; starts < 2; ++starts) {
      cluster_.server(kMember).Start();
      ExpectRefused(&cluster_.server(kMember), mentioned);
      ASSERT_TRUE(cluster_.client(0).PutText(absl::StrCat("during", starts), "1").ok());
    }
  }

  void ExpectBackWhenRestored(const fs::path& file, const std::string& content) {
    WriteFile(file, content);
    ASSERT_TRUE(cluster_.StartAll());
    ASSERT_TRUE(cluster_.WaitUntilEqual());
    EXPECT_EQ(cluster_.client(kMember).GetStatus()->key_count(), kKeys + 2);
  }

  TestCluster cluster_;
};

constexpr char kPutBack[] = "Put this directory back exactly as it was";

TEST_F(LostLogTest, ADeletedLogFileIsRefusedAndMayBePutBack) {
  EXPECT_EQ(cluster_.server(kMember).Stop(), (ExitStatus{.code = 0}));
  const fs::path wal = NewestWal();
  ASSERT_FALSE(wal.empty());
  const std::string content = ReadFile(wal);
  fs::remove(wal);
  ExpectRefusedWhileTheOthersGoOn({data_dir(), "log", kPutBack});
  ExpectBackWhenRestored(wal, content);
}

TEST_F(LostLogTest, ALogFileThatIsCutIsRefusedByTheFence) {
  // The fence follows an append within 100 ms.
  const std::string fence = data_dir() + "/FENCE";
  const auto before = fs::file_time_type::clock::now() - Millis(10);  // File times are coarse.
  ASSERT_TRUE(cluster_.client(0).PutText("key0", std::string(500, 'y')).ok());
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] { return fs::last_write_time(fence) > before; }));
  cluster_.server(kMember).Kill9();
  const fs::path wal = NewestWal();
  ASSERT_FALSE(wal.empty());
  const std::string content = ReadFile(wal);
  fs::resize_file(wal, content.size() / 3);
  ExpectRefusedWhileTheOthersGoOn(
      {fence, "recorded term", "and the log up to entry", "the database has", kPutBack});
  ExpectBackWhenRestored(wal, content);
}

TEST_F(LostLogTest, AnOlderCopyOfTheDirectoryStillFitsItselfButNotItsFence) {
  EXPECT_EQ(cluster_.server(kMember).Stop(), (ExitStatus{.code = 0}));
  fs::copy(data_dir() + "/db", cluster_.dir().File("older"), fs::copy_options::recursive);
  ASSERT_TRUE(cluster_.Start(kMember));
  ASSERT_TRUE(cluster_.client(0).PutText("later", "1").ok());
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  EXPECT_EQ(cluster_.server(kMember).Stop(), (ExitStatus{.code = 0}));
  fs::rename(data_dir() + "/db", cluster_.dir().File("newer"));
  fs::rename(cluster_.dir().File("older"), data_dir() + "/db");
  ExpectRefusedWhileTheOthersGoOn({data_dir(), kPutBack});
  fs::rename(data_dir() + "/db", cluster_.dir().File("older"));
  fs::rename(cluster_.dir().File("newer"), data_dir() + "/db");
  ASSERT_TRUE(cluster_.StartAll());
  ASSERT_TRUE(cluster_.WaitUntilEqual());
}

TEST(StoredConfigurationTest, TheFoundingListIsIgnoredOnceThereIsData) {
  TestCluster cluster;
  ASSERT_TRUE(cluster.StartAll());
  cluster.server(1).Kill9();
  cluster.server(1).options().initial_cluster =
      absl::StrCat("n2=", cluster.peer_address(1), ",n7=127.0.0.1:7");
  ASSERT_TRUE(cluster.Start(1));
  ASSERT_TRUE(cluster.client(1).PutText("a", "1").ok());
  EXPECT_EQ(cluster.client(1).ListMembers()->members_size(), 3);
}

TEST(StoredConfigurationTest, ANewClientAddressIsPublished) {
  TestCluster cluster;
  ASSERT_TRUE(cluster.StartAll());
  cluster.server(1).Kill9();
  const std::string moved = Loopback(PickFreePort());
  cluster.server(1).options().listen_client = moved;
  cluster.server(1).Start();
  ASSERT_TRUE(cluster.server(1).WaitReady());
  EXPECT_TRUE(WaitUntil(Millis(10000), [&] {
    const auto members = cluster.client(0).ListMembers();
    return members.ok() && members->members(1).client_address() == moved;
  })) << cluster.client(0).ListMembers()->DebugString();
}

TEST(StoredConfigurationTest, AMemberThatMovesIsFoundAtItsNewPeerAddress) {
  TestCluster cluster;
  ASSERT_TRUE(cluster.StartAll());
  const std::optional<size_t> leader = cluster.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  const size_t moving = cluster.Other(*leader);
  cluster.server(moving).Kill9();
  const std::string moved = Loopback(PickFreePort());
  cluster.server(moving).options().listen_peer = moved;
  cluster.server(moving).options().flags = {"--advertise_peer=" + moved};
  ASSERT_TRUE(cluster.Start(moving));
  EXPECT_TRUE(WaitUntil(Millis(15000), [&] {
    const auto members = cluster.client(*leader).ListMembers();
    return members.ok() && members->members(static_cast<int>(moving)).peer_address() == moved;
  })) << cluster.client(*leader).ListMembers()->DebugString();
  ASSERT_TRUE(cluster.client(*leader).PutText("a", "1").ok());
  EXPECT_EQ(cluster.client(moving).GetText("a")->kv().text(), "1");
  // The third member has to find it there, too.
  cluster.server(*leader).Kill9();
  ASSERT_TRUE(cluster.WaitForLeader().has_value());
  EXPECT_TRUE(cluster.client(moving).PutText("a", "2").ok());
}

TEST(ColumnFamiliesTest, LdbShowsThem) {
  if (FindProgram("ldb").empty()) {
    GTEST_SKIP() << "ldb (Debian's rocksdb-tools) is not installed";
  }
  SingleNode node;
  ASSERT_TRUE(node.Start());
  ASSERT_TRUE(node.client().PutText("a", "1").ok());
  EXPECT_EQ(node.server().Stop(), (ExitStatus{.code = 0}));
  const CommandResult result =
      RunCommand({"ldb", "list_column_families", "--db=" + node.data_dir() + "/db"});
  EXPECT_EQ(result.exit, (ExitStatus{.code = 0})) << result;
  EXPECT_THAT(result.out, AllOf(HasSubstr("raft_log"), HasSubstr("meta"), HasSubstr("latest"),
                                HasSubstr("ttl")));
}

}  // namespace
}  // namespace raftkv::integration
