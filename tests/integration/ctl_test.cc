// raftkvctl against a real cluster: what it prints and how it ends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/support/single_node.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

class CtlTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<TestCluster>();
    ASSERT_TRUE(cluster_->StartAll());
  }
  static void TearDownTestSuite() { cluster_.reset(); }

  void TearDown() override {
    const auto cleared =
        cluster_->client(0).DeleteRange(Proto<v1::DeleteRangeRequest>(R"(range { prefix: "" })"));
    EXPECT_TRUE(cleared.ok()) << cleared;
  }

  static std::string Endpoints() {
    return absl::StrJoin(
        {cluster_->client_address(0), cluster_->client_address(1), cluster_->client_address(2)},
        ",");
  }

  static CommandResult Ctl(std::vector<std::string> arguments, const std::string& input = "") {
    arguments.insert(arguments.begin(), {RaftkvctlPath(), "--endpoints", Endpoints()});
    return RunCommand(arguments, input);
  }

  static std::string Must(std::vector<std::string> arguments, const std::string& input = "") {
    const CommandResult result = Ctl(std::move(arguments), input);
    EXPECT_EQ(result.exit, kOk) << result;
    EXPECT_THAT(result.err, IsEmpty());
    return result.out;
  }

  static json MustJson(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"-w", "json"});
    return json::parse(Must(std::move(arguments)), nullptr, /*allow_exceptions=*/false);
  }

  static std::unique_ptr<TestCluster> cluster_;
};

std::unique_ptr<TestCluster> CtlTest::cluster_;

TEST_F(CtlTest, PutGetDel) {
  EXPECT_EQ(Must({"put", "greeting", "hello world"}), "OK\n");
  EXPECT_EQ(Must({"get", "greeting"}), "greeting\nhello world\n");
  EXPECT_EQ(Must({"get", "greeting", "--print-value-only"}), "hello world\n");
  EXPECT_EQ(Must({"get", "greeting", "--consistency=s", "--keys-only"}), "greeting\n");
  EXPECT_EQ(Must({"put", "greeting", "-"}, "from\nstdin"), "OK\n");
  EXPECT_EQ(Must({"get", "greeting", "--print-value-only"}), "from\nstdin\n");
  EXPECT_EQ(Must({"del", "greeting"}), "1\n");
  EXPECT_EQ(Must({"del", "greeting"}), "0\n");
  EXPECT_EQ(Must({"get", "greeting"}), "");
}

TEST_F(CtlTest, Prefixes) {
  for (const char* key : {"a", "p/1", "p/2", "p/3", "q"}) {
    Must({"put", key, absl::StrCat("v", key)});
  }
  EXPECT_EQ(Must({"get", "p/", "--prefix"}), "p/1\nvp/1\np/2\nvp/2\np/3\nvp/3\n");
  EXPECT_EQ(Must({"get", "p/", "--prefix", "--keys-only", "--limit", "2"}), "p/1\np/2\n");
  EXPECT_EQ(Must({"get", "", "--prefix", "--keys-only"}), "a\np/1\np/2\np/3\nq\n");
  EXPECT_EQ(Must({"del", "p/", "--prefix"}), "3\n");
  EXPECT_EQ(Must({"get", "", "--prefix", "--keys-only"}), "a\nq\n");
}

TEST_F(CtlTest, ATtl) {
  Must({"put", "short", "x", "--ttl", "400ms"});
  Must({"put", "long", "x", "--ttl", "1h30m"});
  const json found = MustJson({"get", "long"});
  ASSERT_EQ(found.value("count", -1), 1) << found;
  EXPECT_THAT(found["kvs"][0].value("ttl_remaining", ""), HasSubstr("1h29m"));
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] { return Must({"get", "short"}).empty(); }));
  EXPECT_EQ(Ctl({"put", "bad", "x", "--ttl", "0s"}).exit, (ExitStatus{.code = 4}));
  EXPECT_EQ(Ctl({"put", "bad", "x", "--ttl", "soon"}).exit, (ExitStatus{.code = 128}));
}

TEST_F(CtlTest, Json) {
  const json put = MustJson({"put", "k", "v"});
  EXPECT_GT(put.value("mod_revision", 0), 0) << put;
  EXPECT_GT(put["header"].value("leader_id", 0), 0) << put;
  const json get = MustJson({"get", "k"});
  EXPECT_EQ(get["kvs"][0].value("key", ""), "k") << get;
  EXPECT_EQ(get["kvs"][0].value("value", ""), "v") << get;
  EXPECT_EQ(get["kvs"][0].value("mod_revision", 0), put.value("mod_revision", -1)) << get;
  EXPECT_EQ(MustJson({"del", "k"}).value("deleted", 0), 1);
  const json version = MustJson({"version"});
  EXPECT_FALSE(version.value("version", "").empty()) << version;
}

TEST_F(CtlTest, Members) {
  ASSERT_TRUE(WaitUntil(Millis(10000), [] {
    const json members = MustJson({"member", "list"})["members"];
    return std::all_of(members.begin(), members.end(),
                       [](const json& member) { return !member.value("version", "").empty(); });
  }));
  const json members = MustJson({"member", "list"})["members"];
  ASSERT_EQ(members.size(), 3U);
  size_t leaders = 0;
  for (size_t node = 0; node < 3; ++node) {
    EXPECT_EQ(members[node].value("name", ""), TestCluster::Name(node));
    EXPECT_EQ(members[node].value("client_address", ""), cluster_->client_address(node));
    EXPECT_EQ(members[node].value("peer_address", ""), cluster_->peer_address(node));
    leaders += members[node].value("is_leader", false) ? 1 : 0;
  }
  EXPECT_EQ(leaders, 1U);
  const std::string table = Must({"member", "list", "-w", "table"});
  EXPECT_THAT(table, AllOf(HasSubstr("+--"), HasSubstr("NAME"), HasSubstr("n2"),
                           HasSubstr(cluster_->peer_address(2))));
  EXPECT_THAT(Must({"member", "list"}), AllOf(HasSubstr("n1"), HasSubstr("n3")));
}

TEST_F(CtlTest, StatusAndHealth) {
  const json statuses = MustJson({"endpoint", "status"});
  ASSERT_EQ(statuses.size(), 3U) << statuses;
  for (size_t node = 0; node < 3; ++node) {
    EXPECT_EQ(statuses[node].value("name", ""), TestCluster::Name(node));
    EXPECT_GT(statuses[node].value("disk_bytes", 0), 0);
    const json& memory = statuses[node]["memory"];
    EXPECT_EQ(memory.value("planned_bytes", int64_t{0}), int64_t{256} << 20);
    EXPECT_GT(memory.value("write_buffer_bytes", int64_t{0}), 0);
    EXPECT_GT(memory.value("resident_bytes", int64_t{0}),
              memory.value("write_buffer_bytes", int64_t{0}));
    EXPECT_GT(memory.value("log_bytes", int64_t{0}), 0);
  }
  EXPECT_THAT(Must({"endpoint", "status", "-w", "table"}),
              AllOf(HasSubstr("leader"), HasSubstr("follower")));
  const json health = MustJson({"endpoint", "health"});
  ASSERT_EQ(health.size(), 3U) << health;
  for (const json& endpoint : health) {
    EXPECT_TRUE(endpoint.value("health", false)) << endpoint;
  }
  const int64_t revision = cluster_->client(0).GetStatus()->header().revision();
  EXPECT_THAT(Must({"endpoint", "health", "--cluster"}), HasSubstr("healthy"));
  EXPECT_EQ(cluster_->client(0).GetStatus()->header().revision(), revision) << "never a write";
}

TEST_F(CtlTest, ExitCodes) {
  EXPECT_EQ(Ctl({"get", "missing"}).exit, kOk);
  const CommandResult missing = Ctl({"get", "missing", "--fail-missing"});
  EXPECT_EQ(missing.exit, (ExitStatus{.code = 1})) << missing;
  EXPECT_THAT(missing.out, IsEmpty());
  EXPECT_THAT(missing.err, HasSubstr("missing"));

  const std::string nobody = Loopback(PickFreePort());
  const CommandResult unreachable =
      RunCommand({RaftkvctlPath(), "--endpoints", nobody, "get", "a"});
  EXPECT_EQ(unreachable.exit, (ExitStatus{.code = 2})) << unreachable;
  EXPECT_THAT(unreachable.err, HasSubstr(nobody));

  const CommandResult refused = Ctl({"put", std::string(4097, 'k'), "x"});
  EXPECT_EQ(refused.exit, (ExitStatus{.code = 4})) << refused;
  EXPECT_THAT(refused.err, AllOf(HasSubstr("BAD_KEY"), HasSubstr("4097")));
  EXPECT_THAT(refused.err, Not(HasSubstr(std::string(65, 'k'))));

  const CommandResult not_text = Ctl({"put", "\xff", "x"});
  EXPECT_EQ(not_text.exit, (ExitStatus{.code = 128})) << not_text;
  EXPECT_THAT(not_text.err, AllOf(StartsWith("Error: "), HasSubstr("MALFORMED")));

  const CommandResult peer_port =
      RunCommand({RaftkvctlPath(), "--endpoints", cluster_->peer_address(0), "get", "a"});
  EXPECT_EQ(peer_port.exit, (ExitStatus{.code = 4})) << peer_port;
  EXPECT_THAT(peer_port.err, HasSubstr("is that a peer port?"));

  const CommandResult unhealthy =
      Ctl({"endpoint", "health", "--endpoints", cluster_->client_address(0) + "," + nobody});
  EXPECT_NE(unhealthy.exit, kOk) << unhealthy;

  for (const std::vector<std::string>& arguments : {std::vector<std::string>{},
                                                    {"no-such-command"},
                                                    {"put", "only-a-key"},
                                                    {"get", "a", "--no-such-flag"},
                                                    {"get", "a", "-w", "xml"},
                                                    {"get", "a", "--command-timeout", "soon"},
                                                    {"get", "a", "--consistency=x"}}) {
    const CommandResult bad = Ctl(arguments);
    EXPECT_EQ(bad.exit, (ExitStatus{.code = 128})) << testing::PrintToString(arguments) << bad;
    EXPECT_THAT(bad.err, StartsWith("Error: "));
    EXPECT_THAT(bad.out, IsEmpty());
  }
}

TEST_F(CtlTest, TheEnvironmentNamesTheEndpoints) {
  Must({"put", "k", "v"});
  const CommandResult result = RunCommand({RaftkvctlPath(), "get", "k", "--print-value-only"}, "",
                                          {"RAFTKVCTL_ENDPOINTS=" + Endpoints()});
  EXPECT_EQ(result.exit, kOk) << result;
  EXPECT_EQ(result.out, "v\n");
}

TEST(CtlBigPrefixTest, IsEmptiedInStepsWhenItIsTooLargeForOne) {
  SingleNode node({"--delete_range_keys_max=10"});
  ASSERT_TRUE(node.Start());
  for (int i = 0; i < 25; ++i) {
    ASSERT_TRUE(node.client().PutText(absl::StrCat("job-", i), "v").ok());
  }
  ASSERT_TRUE(node.client().PutText("other", "v").ok());
  const auto ctl = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     {RaftkvctlPath(), "--endpoints", node.server().client_address()});
    return RunCommand(arguments);
  };
  const CommandResult deleted = ctl({"del", "--prefix", "job-"});
  EXPECT_EQ(deleted.exit, kOk) << deleted;
  EXPECT_EQ(deleted.out, "25\n");
  EXPECT_THAT(deleted.err, AllOf(HasSubstr("not atomic"), HasSubstr("20 deleted so far\n")));
  EXPECT_EQ(ctl({"get", "", "--prefix", "--keys-only"}).out, "other\n");
}

TEST(CtlWithoutQuorumTest, TellsUnhealthyAndStillReadsStale) {
  TestCluster cluster;
  ASSERT_TRUE(cluster.StartAll());
  ASSERT_TRUE(cluster.client(0).PutText("k", "v").ok());
  ASSERT_TRUE(cluster.WaitUntilEqual());
  cluster.server(1).Kill9();
  cluster.server(2).Kill9();
  const std::string left = cluster.client_address(0);
  const auto ctl = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {RaftkvctlPath(), "--endpoints", left});
    return RunCommand(arguments);
  };
  EXPECT_EQ(ctl({"endpoint", "health", "--command-timeout", "2s"}).exit, (ExitStatus{.code = 5}));
  EXPECT_EQ(ctl({"endpoint", "health", "--cluster", "--command-timeout", "2s"}).exit,
            (ExitStatus{.code = 5}));
  const CommandResult stale = ctl({"get", "k", "--consistency=s", "--print-value-only"});
  EXPECT_EQ(stale.exit, kOk) << stale;
  EXPECT_EQ(stale.out, "v\n");
  const CommandResult put = ctl({"put", "k", "w", "--command-timeout", "2s"});
  EXPECT_TRUE(put.exit == ExitStatus{.code = 1} || put.exit == ExitStatus{.code = 4}) << put;
  EXPECT_THAT(put.err, Not(IsEmpty()));
}

}  // namespace
}  // namespace raftkv::integration
