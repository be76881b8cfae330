// The first thing that people try: an unmodified grpcurl, with nothing but the server's own
// reflection.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

std::string FindGrpcurl() {
  const std::string built = FindProgram(absl::StrCat(SOURCE_DIR, "/build/tools/grpcurl"));
  return built.empty() ? FindProgram("grpcurl") : built;
}

// A field's text, by its name in the .proto or in JSON's style: what grpcurl shows depends on its
// version.
std::string Text(const json& object, const std::string& name, const std::string& json_name) {
  const auto found = object.contains(name) ? object.find(name) : object.find(json_name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

class GrpcurlTest : public testing::Test {
 protected:
  void SetUp() override {
    if (FindGrpcurl().empty()) {
      GTEST_SKIP() << "no grpcurl: scripts/install_deps.sh makes it where Go is installed";
    }
    ASSERT_TRUE(cluster_.StartAll());
  }

  CommandResult Grpcurl(size_t node, const std::string& data, const std::string& symbol) {
    std::vector<std::string> argv = {FindGrpcurl(), "-plaintext", "-emit-defaults"};
    if (!data.empty()) {
      argv.insert(argv.end(), {"-d", data});
    }
    argv.push_back(cluster_.client_address(node));
    argv.push_back(symbol);
    return RunCommand(argv);
  }

  json Call(size_t node, const std::string& method, const std::string& data) {
    const CommandResult result = Grpcurl(node, data, method);
    EXPECT_EQ(result.exit, (ExitStatus{.code = 0})) << method << " " << data << ": " << result;
    return json::parse(result.out, nullptr, /*allow_exceptions=*/false);
  }

  TestCluster cluster_;
};

TEST_F(GrpcurlTest, EveryMemberShowsItsServices) {
  for (size_t node = 0; node < cluster_.size(); ++node) {
    const CommandResult list = Grpcurl(node, "", "list");
    EXPECT_EQ(list.exit, (ExitStatus{.code = 0})) << list;
    EXPECT_THAT(
        list.out,
        AllOf(HasSubstr("raftkv.v1.KvService"), HasSubstr("raftkv.v1.ClusterService"),
              HasSubstr("raftkv.v1.MaintenanceService"), HasSubstr("raftkv.v1.WatchService"),
              HasSubstr("grpc.health.v1.Health"), HasSubstr("grpc.reflection")));
  }
  const std::string address = cluster_.client_address(0);
  for (const char* symbol : {"raftkv.v1.KvService", "raftkv.v1.PutRequest", "raftkv.v1.KeyValue",
                             "google.rpc.ErrorInfo"}) {
    const CommandResult describe =
        RunCommand({FindGrpcurl(), "-plaintext", address, "describe", symbol});
    EXPECT_EQ(describe.exit, (ExitStatus{.code = 0})) << describe;
  }
}

TEST_F(GrpcurlTest, ReadsAndWritesOnEveryMember) {
  const std::string kv = "raftkv.v1.KvService/";
  for (size_t node = 0; node < cluster_.size(); ++node) {
    const size_t other = cluster_.Other(node);
    const json put = Call(node, kv + "Put", R"({"key":"a","text":"1","ttl":"5s"})");
    EXPECT_NE(Text(put, "mod_revision", "modRevision"), "") << put;
    const json get = Call(other, kv + "Get", R"({"key":"a","as_text":true})");
    EXPECT_EQ(get["kv"].value("text", ""), "1") << get;
    EXPECT_NE(Text(get["kv"], "ttl_remaining", "ttlRemaining"), "") << get;
    Call(node, kv + "Put", R"({"key":"a/b","text":"2"})");
    const json list = Call(other, kv + "List", R"({"range":{"prefix":"a"},"as_text":true})");
    ASSERT_EQ(list["kvs"].size(), 2U) << list;
    EXPECT_EQ(list["kvs"][1].value("text", ""), "2");
    const json removed = Call(node, kv + "Delete", R"({"key":"a"})");
    EXPECT_TRUE(removed.value("deleted", false)) << removed;
    const json range = Call(node, kv + "DeleteRange", R"({"range":{"prefix":""}})");
    EXPECT_EQ(range.value("deleted", ""), "1") << range;
  }
}

TEST_F(GrpcurlTest, ShowsMembersStatusAndWhoLeads) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  for (size_t node = 0; node < cluster_.size(); ++node) {
    const json members = Call(node, "raftkv.v1.ClusterService/ListMembers", "{}");
    EXPECT_EQ(members["members"].size(), 3U) << members;
    const json status = Call(node, "raftkv.v1.ClusterService/GetStatus", "{}");
    EXPECT_EQ(status.value("name", ""), TestCluster::Name(node)) << status;
    const json health = Call(node, "grpc.health.v1.Health/Check", R"({"service":"raftkv.leader"})");
    EXPECT_EQ(health.value("status", ""), node == *leader ? "SERVING" : "NOT_SERVING");
  }
}

TEST_F(GrpcurlTest, ShowsErrorsWithTheirReason) {
  const CommandResult result = Grpcurl(0, R"({"key":"","text":"1"})", "raftkv.v1.KvService/Put");
  EXPECT_NE(result.exit, (ExitStatus{.code = 0}));
  EXPECT_THAT(result.err, AllOf(HasSubstr("InvalidArgument"), HasSubstr("BAD_KEY"),
                                HasSubstr("4096"), HasSubstr("google.rpc.ErrorInfo")));
}

}  // namespace
}  // namespace raftkv::integration
