// Configuration by file, environment and flags, of the real server; the files of config/.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/rpc.h"
#include "tests/support/server_process.h"
#include "tests/support/temp_dir.h"

namespace raftkv::integration {
namespace {

using Json = nlohmann::ordered_json;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr char kOneNode[] = SOURCE_DIR "/config/one_node.yaml";
constexpr char kThreeNodes[] = SOURCE_DIR "/config/three_nodes.yaml";

// A member whose options say only where its log goes: the rest is its file's and environment's.
ServerOptions Plain(const TempDir& dir, const std::string& name) {
  return {.name = "",
          .data_dir = dir.File(name),
          .listen_client = "127.0.0.1:0",
          .listen_peer = "127.0.0.1:0",
          .listen_http = "127.0.0.1:0",
          .initial_cluster = "",
          .flags = {},
          .env = {}};
}

Json ConfigOf(const ServerProcess& server) {
  const CommandResult result = RunCommand(
      {"curl", "-sS", "--fail", absl::StrCat("http://", server.http_address(), "/config")});
  EXPECT_EQ(result.exit, (ExitStatus{.code = 0})) << result;
  return Json::parse(result.out, nullptr, /*allow_exceptions=*/false);
}

Json Setting(const Json& value, const std::string& source) {
  return {{"value", value}, {"source", source}};
}

TEST(ConfigTest, SaysWhatIsInForceAndWhereItIsFrom) {
  const TempDir dir;
  const std::string file = dir.File("raftkv.yaml");
  WriteFile(file, "name: from-file\nvalue_bytes_max: 30\nlog_bytes_max: 64MiB\n");
  ServerOptions options = Plain(dir, "data");
  options.flags = {"--value-bytes-max=20"};
  options.env = {"RAFTKV_CONFIG=" + file, "RAFTKV_VALUE_BYTES_MAX=10", "RAFTKV_REFLECTION=false"};
  ServerProcess server(options);
  server.Start();
  ASSERT_TRUE(server.WaitReady()) << server.LogTail();
  const Json config = ConfigOf(server);
  EXPECT_EQ(config["name"], Setting("from-file", "file " + file + ":1:1")) << config;
  EXPECT_EQ(config["data_dir"], Setting(dir.File("data"), "flag"));
  EXPECT_EQ(config["config"], Setting(file, "environment"));
  EXPECT_EQ(config["value_bytes_max"], Setting(20, "flag"));
  EXPECT_EQ(config["log_bytes_max"], Setting(64 << 20, "file " + file + ":3:1"));
  EXPECT_EQ(config["reflection"], Setting(false, "environment"));
  EXPECT_EQ(config["heartbeat_interval_ms"], Setting(100, "default"));
  const std::string log = server.Log();
  const size_t line = log.find("] configuration: name=\"from-file\" (file " + file + ":1:1), ");
  ASSERT_NE(line, std::string::npos) << log;
  EXPECT_THAT(
      log.substr(line, log.find('\n', line) - line),
      AllOf(HasSubstr(", value_bytes_max=20 (flag), "), HasSubstr("log_bytes_max=64MiB (file "),
            HasSubstr("; defaults: "), HasSubstr(", heartbeat_interval_ms=100, ")));
  EXPECT_EQ(log.find("] configuration: ", line + 1), std::string::npos) << "once";
  NodeClient client(server.client_address());
  EXPECT_TRUE(client.PutText("a", std::string(20, 'x')).ok());
  EXPECT_EQ(client.PutText("a", std::string(21, 'x')).reason, "VALUE_TOO_LARGE");
}

TEST(ConfigTest, ABadFileIsOneLineAndLeavesNothingBehind) {
  const TempDir dir;
  const std::string file = dir.File("raftkv.yaml");
  for (const auto& [text, error] : std::vector<std::pair<std::string, std::string>>{
           {"name: n1\nvalue_byte_max: 1\n", ":2:1: value_byte_max: unknown key; must be one of "},
           {"name: n1\nname: n2\n", ":2:1: name: is given twice, first at "},
           {"name:\n", ":1:1: name: has no value"},
           {"value_bytes_max: much\n", ":1:18: value_bytes_max=much: must be a number"},
           {"value_bytes_max: 0\n", ":1:1: --value_bytes_max=0: must be 1 to "},
           {"listen_client: [::]:1\n", ":1:16: listen_client: must be one text, "},
           {"name: @n\n", ":1:7: is not YAML"}}) {
    WriteFile(file, text);
    const std::string data = dir.File("data");
    for (const std::vector<std::string>& extra : {std::vector<std::string>{}, {"--check_config"}}) {
      std::vector<std::string> flags = {"--config", file, "--data_dir", data};
      flags.insert(flags.end(), extra.begin(), extra.end());
      const CommandResult result = RunRaftkvd(flags);
      EXPECT_EQ(result.exit, (ExitStatus{.code = 1})) << text << result;
      EXPECT_THAT(result.err, StartsWith(absl::StrCat("raftkvd: ", file, error))) << text;
      EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << "one line: " << result;
      EXPECT_THAT(result.out, IsEmpty());
      EXPECT_FALSE(std::filesystem::exists(data));
    }
  }
  const CommandResult missing = RunRaftkvd({"--config", dir.File("none")});
  EXPECT_EQ(missing.exit, (ExitStatus{.code = 1})) << missing;
  EXPECT_THAT(missing.err, EndsWith("none: No such file or directory\n"));
}

TEST(ConfigTest, ACheckTouchesNothingAndStandsBesideAMember) {
  const TempDir dir;
  ServerProcess server(Plain(dir, "data"));
  server.Start();
  ASSERT_TRUE(server.WaitReady()) << server.LogTail();
  const std::vector<std::string> flags = {"--check_config", "--data_dir=" + dir.File("data"),
                                          "--listen_client=" + server.client_address(),
                                          "--listen_peer=" + server.peer_address(),
                                          "--listen_http=" + server.http_address()};
  const CommandResult shown = RunRaftkvd(flags, {"RAFTKV_NAME=other"});
  EXPECT_EQ(shown.exit, (ExitStatus{.code = 0})) << shown;
  EXPECT_THAT(shown.out,
              AllOf(HasSubstr("name: \"other\"  # environment\n"),
                    HasSubstr("listen_http: \"" + server.http_address() + "\"  # flag\n")));
  EXPECT_THAT(shown.err, IsEmpty());

  // What it shows, a start takes.
  const std::string file = dir.File("shown.yaml");
  WriteFile(file, shown.out);
  const CommandResult again = RunRaftkvd({"--check_config", "--config", file});
  EXPECT_EQ(again.exit, (ExitStatus{.code = 0})) << again;
  EXPECT_THAT(again.out, HasSubstr("name: \"other\"  # file " + file + ":1:1\n"));

  const std::string unmade = dir.File("unmade");
  const CommandResult check = RunRaftkvd({"--check_config", "--data_dir", unmade});
  EXPECT_EQ(check.exit, (ExitStatus{.code = 0})) << check;
  EXPECT_FALSE(std::filesystem::exists(unmade));
}

TEST(ConfigExamplesTest, AreWellFormed) {
  const CommandResult one = RunRaftkvd({"--check_config", "--config", kOneNode});
  EXPECT_EQ(one.exit, (ExitStatus{.code = 0})) << one;
  EXPECT_THAT(one.out, HasSubstr("name: \"default\"  # file "));
  for (const char* name : {"raftkv1", "raftkv2", "raftkv3"}) {
    const CommandResult three = RunRaftkvd({"--check_config", "--config", kThreeNodes},
                                           {absl::StrCat("RAFTKV_NAME=", name)});
    EXPECT_EQ(three.exit, (ExitStatus{.code = 0})) << three;
    EXPECT_THAT(three.out, HasSubstr(absl::StrCat("initial_cluster: \"raftkv1=raftkv1:2380,")));
    EXPECT_THAT(three.out, HasSubstr(absl::StrCat(name, "=", name, ":2380")));
  }
  const CommandResult nameless =
      RunRaftkvd({"--config", kThreeNodes, "--listen_client=:0", "--listen_peer=:0",
                  "--listen_http=", "--data_dir=/nowhere/at/all"});
  EXPECT_EQ(nameless.exit, (ExitStatus{.code = 1})) << nameless;
  EXPECT_THAT(nameless.err, HasSubstr("--name")) << "the file is for all, so it has none";
}

// But for addresses: the image's test uses them as they are.
TEST(ConfigExamplesTest, OneNodeRuns) {
  const TempDir dir;
  ServerOptions options = Plain(dir, "data");
  options.flags = {"--config", kOneNode};
  ServerProcess server(options);
  server.Start();
  ASSERT_TRUE(server.WaitReady()) << server.LogTail();
  EXPECT_TRUE(absl::StartsWith(ConfigOf(server)["name"]["source"].get<std::string>(), "file "));
  NodeClient client(server.client_address());
  EXPECT_TRUE(client.PutText("a", "1").ok());
}

TEST(ConfigExamplesTest, ThreeNodesFindEachOther) {
  const TempDir dir;
  std::vector<std::string> peers;
  std::vector<std::string> members;
  for (int i = 1; i <= 3; ++i) {
    peers.push_back(Loopback(PickFreePort()));
    members.push_back(absl::StrCat("raftkv", i, "=", peers.back()));
  }
  std::vector<std::unique_ptr<ServerProcess>> servers;
  for (int i = 1; i <= 3; ++i) {
    ServerOptions options = Plain(dir, absl::StrCat("data", i));
    options.listen_peer = peers[static_cast<size_t>(i) - 1];
    options.flags = {"--config", kThreeNodes};
    options.env = {absl::StrCat("RAFTKV_NAME=raftkv", i),
                   "RAFTKV_INITIAL_CLUSTER=" + absl::StrJoin(members, ",")};
    servers.push_back(std::make_unique<ServerProcess>(options));
    servers.back()->Start();
  }
  for (size_t i = 0; i < servers.size(); ++i) {
    ASSERT_TRUE(servers[i]->WaitReady()) << servers[i]->LogTail();
    NodeClient client(servers[i]->client_address());
    ASSERT_TRUE(WaitUntil(Millis(20000), [&] { return client.PutText("k", "v").ok(); }))
        << servers[i]->LogTail();
    EXPECT_EQ(client.GetStatus()->name(), absl::StrCat("raftkv", i + 1));
  }
}

}  // namespace
}  // namespace raftkv::integration
