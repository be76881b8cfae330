// Every program of client/examples against a real cluster, built and run as docs/CLIENTS.md says.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "tests/support/cluster_tls.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;

// Building a program of Go the first time compiles gRPC.
constexpr Millis kBuildTimeout(240'000);

std::string Example(const std::string& name) {
  return absl::StrCat(SOURCE_DIR, "/client/examples/", name);
}

class ExamplesTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.StartAll()); }

  std::vector<std::string> ClientAddresses() const {
    return {cluster_.client_address(0), cluster_.client_address(1), cluster_.client_address(2)};
  }
  std::string Endpoints() const { return absl::StrJoin(ClientAddresses(), ","); }

  // What every program prints; how it says that a write was refused is its own.
  std::string Expected(const std::string& refused) {
    const std::optional<size_t> leader = cluster_.WaitForLeader();
    return absl::StrCat("get: hello\nlist: example/greeting\nrefused: ", refused,
                        "\ndeleted: true\nleader: ",
                        leader.has_value() ? TestCluster::Name(*leader) : "none", "\n");
  }

  // The program must print that, and once more when another member leads.
  void ExpectWorks(const std::vector<std::string>& command, const std::string& refused,
                   const std::vector<std::string>& env = {}) {
    ExpectPrints(command, refused, env);
    const std::optional<size_t> leader = cluster_.WaitForLeader();
    ASSERT_TRUE(leader.has_value());
    cluster_.server(*leader).Kill9();
    ExpectPrints(command, refused, env);
  }

  void ExpectPrints(const std::vector<std::string>& command, const std::string& refused,
                    const std::vector<std::string>& env) {
    const std::string expected = Expected(refused);
    const CommandResult result = RunCommand(command, "", env);
    EXPECT_EQ(result.exit, kOk) << result;
    EXPECT_EQ(result.out, expected) << result;
  }

  TestCluster cluster_{{.size = 3, .http = true, .flags = {}}};
};

TEST_F(ExamplesTest, Cpp) {
  ExpectWorks({RAFTKV_EXAMPLE_PATH, Endpoints()}, "ABORTED PRECONDITION_FAILED");
}

TEST_F(ExamplesTest, Curl) {
  for (size_t node = 0; node < cluster_.size(); ++node) {
    ExpectPrints({Example("curl.sh"), cluster_.server(node).http_address()}, "aborted", {});
  }
}

TEST_F(ExamplesTest, Grpcurl) {
  const std::string tools = absl::StrCat(SOURCE_DIR, "/build/tools");
  const std::string built = FindProgram(tools + "/grpcurl");
  const std::string grpcurl = built.empty() ? FindProgram("grpcurl") : built;
  if (grpcurl.empty()) {
    GTEST_SKIP() << "no grpcurl: scripts/install_deps.sh makes it where Go is installed";
  }
  std::vector<std::string> command = {Example("grpcurl.sh")};
  for (const std::string& address : ClientAddresses()) {
    command.push_back(address);
  }
  const std::vector<std::string> env = {absl::StrCat("PATH=", tools, ":", getenv("PATH"))};
  ExpectPrints(command, "10", env);

  // With the .proto at hand the names of JSON are printed, so what jq asks for differs.
  const CommandResult by_proto =
      RunCommand({grpcurl, "-plaintext", "-import-path", absl::StrCat(SOURCE_DIR, "/proto"),
                  "-proto", "raftkv/v1/kv.proto", "-d", R"({"key": "a", "text": "1"})",
                  cluster_.client_address(0), "raftkv.v1.KvService/Put"});
  EXPECT_EQ(by_proto.exit, kOk) << by_proto;
  EXPECT_THAT(by_proto.out, HasSubstr("\"modRevision\": \"")) << "a text, being 64 bits wide";
  const CommandResult by_reflection =
      RunCommand({grpcurl, "-plaintext", "-d", R"({"key": "a", "text": "1"})",
                  cluster_.client_address(0), "raftkv.v1.KvService/Put"});
  EXPECT_THAT(by_reflection.out, HasSubstr("\"mod_revision\": \""));
}

TEST_F(ExamplesTest, Python) {
  constexpr char kPython[] = "/usr/bin/python3";  // Debian's, which has Debian's packages.
  if (RunCommand({kPython, "-c", "import grpc"}).exit != kOk) {
    GTEST_SKIP() << "no python3-grpcio: scripts/install_deps.sh --tests installs it";
  }
  const TempDir generated;
  const std::string proto = absl::StrCat(SOURCE_DIR, "/proto/");
  std::vector<std::string> protoc = {"protoc",
                                     "-I",
                                     proto,
                                     "--python_out=" + generated.path(),
                                     "--grpc_out=" + generated.path(),
                                     "--plugin=protoc-gen-grpc=/usr/bin/grpc_python_plugin"};
  for (const char* folder : {"raftkv/v1", "google/rpc"}) {
    for (const auto& file : std::filesystem::directory_iterator(proto + folder)) {
      protoc.push_back(file.path());
    }
  }
  const CommandResult made = RunCommand(protoc);
  ASSERT_EQ(made.exit, kOk) << made;
  ExpectWorks({kPython, Example("example.py"), Endpoints()}, "ABORTED PRECONDITION_FAILED",
              {"PYTHONPATH=" + generated.path(), "PYTHONDONTWRITEBYTECODE=1"});
}

TEST_F(ExamplesTest, Go) {
  if (FindProgram("go").empty()) {
    GTEST_SKIP() << "no Go here";
  }
  // Kept, as what Go compiled is.
  const std::string folder = absl::StrCat(BUILD_DIR, "/examples/go");
  const CommandResult built = RunCommand({Example("go/build.sh"), folder}, "", {}, kBuildTimeout);
  ASSERT_EQ(built.exit, kOk) << built;
  ExpectWorks({folder + "/example", Example(""), Endpoints()}, "Aborted PRECONDITION_FAILED");
}

// Members and clients show certificates to each other.
class TlsExamplesTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.StartAll()); }

  ClusterTls tls_{{"n1", "n2", "n3"}};
  TestCluster cluster_{{.size = 3, .flags = {}, .tls = &tls_}};
};

TEST_F(TlsExamplesTest, Go) {
  if (FindProgram("go").empty()) {
    GTEST_SKIP() << "no Go here";
  }
  const std::string folder = absl::StrCat(BUILD_DIR, "/examples/go");
  const CommandResult built = RunCommand({Example("go/build.sh"), folder}, "", {}, kBuildTimeout);
  ASSERT_EQ(built.exit, kOk) << built;
  const std::string endpoints = absl::StrCat(
      cluster_.client_address(0), ",", cluster_.client_address(1), ",", cluster_.client_address(2));
  const std::string example = folder + "/example";
  const CommandResult with = RunCommand({example, Example(""), endpoints, tls_.File("")});
  EXPECT_EQ(with.exit, kOk) << with;
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  EXPECT_EQ(with.out, absl::StrCat("get: hello\nlist: example/greeting\nrefused: Aborted "
                                   "PRECONDITION_FAILED\ndeleted: true\nleader: ",
                                   TestCluster::Name(*leader), "\n"));
  const CommandResult without = RunCommand({example, Example(""), endpoints});
  EXPECT_NE(without.exit, kOk) << without;
  EXPECT_THAT(without.err, HasSubstr("Unavailable")) << without;
}

TEST_F(TlsExamplesTest, Grpcurl) {
  const std::string built = FindProgram(absl::StrCat(SOURCE_DIR, "/build/tools/grpcurl"));
  const std::string grpcurl = built.empty() ? FindProgram("grpcurl") : built;
  if (grpcurl.empty()) {
    GTEST_SKIP() << "no grpcurl: scripts/install_deps.sh makes it where Go is installed";
  }
  const std::vector<std::string> call = {"-d", R"({"key": "a", "text": "1"})",
                                         cluster_.client_address(1), "raftkv.v1.KvService/Put"};
  const auto run = [&](std::vector<std::string> argv) {
    argv.insert(argv.begin(), {grpcurl, "-connect-timeout", "5"});
    argv.insert(argv.end(), call.begin(), call.end());
    return RunCommand(argv);
  };
  const std::vector<std::string> trusting = {"-cacert", tls_.File("ca.pem")};
  std::vector<std::string> proving = trusting;
  proving.insert(proving.end(),
                 {"-cert", tls_.File("client.pem"), "-key", tls_.File("client.key")});
  const CommandResult with = run(proving);
  EXPECT_EQ(with.exit, kOk) << with;
  EXPECT_THAT(with.out, HasSubstr("\"mod_revision\": \"1\""));
  for (const auto& flags : {trusting, std::vector<std::string>{"-plaintext"}}) {
    const CommandResult without = run(flags);
    EXPECT_NE(without.exit, kOk) << without;
    EXPECT_EQ(without.out, "");
  }
}

}  // namespace
}  // namespace raftkv::integration
