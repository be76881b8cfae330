// The lines of raftkvctl in docs/OPERATIONS.md, run as they stand on the page.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

// The lines of raftkvctl in a section of the page, in their order.
std::vector<std::string> LinesOf(const std::string& section) {
  std::vector<std::string> lines;
  bool in_section = false;
  bool in_shell = false;
  for (const absl::string_view line :
       absl::StrSplit(ReadFile(SOURCE_DIR "/docs/OPERATIONS.md"), '\n')) {
    if (absl::StartsWith(line, "## ")) {
      in_section = line.substr(3) == section;
    } else if (absl::StartsWith(line, "```")) {
      in_shell = line == "```sh";
    } else if (in_section && in_shell && absl::StartsWith(line, "raftkvctl ")) {
      lines.emplace_back(line);
    }
  }
  return lines;
}

class OperationsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    ASSERT_TRUE(cluster_.WaitUntilPublished());
    for (int i = 0; i < 20; ++i) {
      ASSERT_TRUE(cluster_.client(0).PutText(absl::StrCat("key", i), "v").ok());
    }
    ASSERT_TRUE(cluster_.WaitUntilEqual());
    for (size_t node = 0; node < cluster_.size(); ++node) {
      places_[absl::StrCat("/var/lib/raftkv/", TestCluster::Name(node))] = cluster_.data_dir(node);
    }
  }

  CommandResult Run(const std::string& line) {
    const std::string path = absl::StrCat(
        std::filesystem::path(RaftkvctlPath()).parent_path().string(), ":",
        std::filesystem::path(RaftkvdPath()).parent_path().string(), ":", std::getenv("PATH"));
    std::vector<std::string> endpoints;
    for (size_t node = 0; node < cluster_.size(); ++node) {
      endpoints.push_back(cluster_.client_address(node));
    }
    return RunCommand(
        {"bash", "-c",
         absl::StrCat("cd ", cluster_.dir().path(), " && ", absl::StrReplaceAll(line, places_))},
        "",
        {absl::StrCat("PATH=", path),
         absl::StrCat("RAFTKVCTL_ENDPOINTS=", absl::StrJoin(endpoints, ","))},
        Millis(60000));
  }
  // What each line of a section printed.
  std::vector<std::string> RunAll(const std::string& section, size_t lines) {
    std::vector<std::string> outputs;
    EXPECT_THAT(LinesOf(section), SizeIs(lines)) << "the page has other lines: look at this test";
    for (const std::string& line : LinesOf(section)) {
      const CommandResult result = Run(line);
      EXPECT_EQ(result.exit, kOk) << line << "\n" << result;
      outputs.push_back(result.out);
    }
    return outputs;
  }

  TestCluster cluster_;
  // What stands for a place of the page.
  std::map<std::string, std::string> places_;
};

TEST_F(OperationsTest, GrowAndShrink) {
  const size_t node = cluster_.AddNode({"--wait_for_invite=true"});
  ASSERT_TRUE(cluster_.Start(node));
  places_["10.0.0.4:2380"] = cluster_.peer_address(node);
  const std::vector<std::string> outputs = RunAll("Grow", 2);
  ASSERT_THAT(outputs, SizeIs(2));
  EXPECT_THAT(outputs[1], HasSubstr(cluster_.peer_address(node)));
  RunAll("Shrink", 1);
  EXPECT_EQ(cluster_.server(node).WaitExit(), kOk) << cluster_.server(node).LogTail();
}

TEST_F(OperationsTest, Replace) {
  ServerProcess& server = cluster_.server(2);
  server.Kill9();
  std::filesystem::remove_all(cluster_.data_dir(2));
  server.options().initial_cluster.clear();
  server.options().flags.push_back("--wait_for_invite=true");
  ASSERT_TRUE(cluster_.Start(2));
  const std::vector<std::string> outputs = RunAll("Replace", 1);
  ASSERT_THAT(outputs, SizeIs(1));
  EXPECT_THAT(outputs[0], HasSubstr("n3"));
}

TEST_F(OperationsTest, BackUp) {
  const std::vector<std::string> outputs = RunAll("Back up", 6);
  ASSERT_THAT(outputs, SizeIs(6));
  EXPECT_THAT(outputs[1], HasSubstr("checksums:"));
  const std::vector<std::string> hash = absl::StrSplit(outputs[2], absl::ByAnyChar(" \n"));
  ASSERT_EQ(hash[0], "hash:");
  EXPECT_THAT(outputs[3], HasSubstr(hash[1]));
  EXPECT_EQ(outputs[5], "20\n");
}

TEST_F(OperationsTest, Restore) {
  ASSERT_EQ(Run("raftkvctl snapshot save backup.raftkv").exit, kOk);
  std::vector<std::string> peers;
  for (int i = 1; i <= 3; ++i) {
    peers.push_back(Loopback(PickFreePort()));
    places_[absl::StrCat("10.0.0.", i, ":2380")] = peers.back();
    places_[absl::StrCat("/var/lib/raftkv/r", i)] = cluster_.dir().File(absl::StrCat("r", i));
  }
  RunAll("Restore", 3);
  std::vector<std::unique_ptr<ServerProcess>> members;
  for (int i = 1; i <= 3; ++i) {
    ServerOptions options;
    options.name = absl::StrCat("r", i);
    options.data_dir = cluster_.dir().File(options.name);
    options.listen_peer = peers[static_cast<size_t>(i - 1)];
    members.push_back(std::make_unique<ServerProcess>(options));
    members.back()->Start();
  }
  for (const auto& member : members) {
    ASSERT_TRUE(member->WaitReady()) << member->LogTail();
    NodeClient client(member->client_address());
    EXPECT_TRUE(WaitUntil(Millis(15'000), [&] {
      const auto value = client.GetText("key7", Millis(2000));
      return value.ok() && value->kv().text() == "v";
    })) << member->LogTail();
  }
}

TEST_F(OperationsTest, LostQuorum) {
  cluster_.KillAll();
  const std::vector<std::string> outputs = RunAll("Lost quorum", 3);
  ASSERT_THAT(outputs, SizeIs(3));
  for (const std::string& output : outputs) {
    EXPECT_THAT(output, HasSubstr("log_last_index:"));
    EXPECT_THAT(output, HasSubstr("uncertain_entries:"));
  }
  ASSERT_TRUE(cluster_.Start(0));
  EXPECT_TRUE(cluster_.client(0).PutText("alone", "v").ok());
  EXPECT_EQ(cluster_.client(0).GetText("key7")->kv().text(), "v");
}

TEST_F(OperationsTest, DiskFull) {
  ASSERT_TRUE(cluster_.client(0).PutText("old/1", "v").ok());
  const std::vector<std::string> outputs = RunAll("Disk full", 2);
  ASSERT_THAT(outputs, SizeIs(2));
  EXPECT_EQ(outputs[1], "1\n");
}

}  // namespace
}  // namespace raftkv::integration
