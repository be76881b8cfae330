// Members that come back without their data, and with --auto_replace: the leader puts a new one in
// the place of each, and never in that of one that runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/cluster_tls.h"
#include "tests/support/test_cluster.h"
#include "tests/support/wait.h"

namespace raftkv::integration {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::UnorderedElementsAreArray;

constexpr char kAutoReplace[] = "--auto_replace=true";
// Silence of two election timeouts, an election maybe, a removal, an addition and a promotion.
constexpr Millis kReplacedWithin(30000);

class LostDataTest : public testing::Test {
 protected:
  explicit LostDataTest(const std::vector<std::string>& flags)
      : cluster_({.size = 3, .flags = flags, .tls = &tls_}) {}
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    // Who is killed before it has published what it knows would keep the members as they are.
    ASSERT_TRUE(cluster_.WaitUntilPublished());
    leader_ = cluster_.WaitForLeader();
    ASSERT_TRUE(leader_.has_value());
    ASSERT_TRUE(cluster_.client(*leader_).PutText("k", "v").ok());
  }

  void KillAndWipe(size_t node) {
    cluster_.server(node).Kill9();
    std::filesystem::remove_all(cluster_.data_dir(node));
  }
  // Waits until the members that `asked` tells of are all voters, with these ids.
  void ExpectVoters(size_t asked, const std::vector<uint64_t>& ids) {
    std::vector<std::string> expected;
    for (size_t node = 0; node < ids.size(); ++node) {
      expected.push_back(absl::StrCat(ids[node], " ", TestCluster::Name(node), " voter"));
    }
    EXPECT_TRUE(WaitUntil(kReplacedWithin, [&] {
      return testing::Value(cluster_.Members(asked), UnorderedElementsAreArray(expected));
    })) << testing::PrintToString(cluster_.Members(asked));
  }
  static bool AwaitLog(const ServerProcess& server, const std::string& text) {
    return WaitUntil(Millis(20000), [&] { return absl::StrContains(server.Log(), text); });
  }

  ClusterTls tls_{{"n1", "n2", "n3"}};
  TestCluster cluster_;
  std::optional<size_t> leader_;
};

class AutoReplaceTest : public LostDataTest {
 protected:
  AutoReplaceTest() : LostDataTest({kAutoReplace}) {}
};

class NoAutoReplaceTest : public LostDataTest {
 protected:
  NoAutoReplaceTest() : LostDataTest({}) {}
};

TEST_F(AutoReplaceTest, AWipedMemberComesBackAsANewOneByItself) {
  std::vector<uint64_t> ids = {1, 2, 3};
  uint64_t next_id = 4;
  // A follower, and then who led.
  for (const size_t lost : {cluster_.Other(*leader_), *leader_}) {
    KillAndWipe(lost);
    ASSERT_TRUE(cluster_.Start(lost));
    EXPECT_TRUE(AwaitLog(cluster_.server(lost), "it was wiped. By --auto_replace"));
    ids[lost] = next_id++;
    ASSERT_NO_FATAL_FAILURE(ExpectVoters(cluster_.Other(lost), ids));
    ASSERT_TRUE(cluster_.WaitForLeader().has_value());
    EXPECT_TRUE(cluster_.WaitUntilEqual());
    const auto got = cluster_.client(lost).GetText("k");
    EXPECT_EQ(got->kv().text(), "v") << got;
  }
  // Its directory says who it is now.
  ServerProcess& server = cluster_.server(*leader_);
  EXPECT_EQ(server.Stop(), ExitStatus{.code = 0});
  ASSERT_TRUE(cluster_.Start(*leader_));
  EXPECT_EQ(server.member_id(), "5");
  ASSERT_TRUE(cluster_.WaitForLeader().has_value());
  EXPECT_TRUE(cluster_.WaitUntilEqual());
}

TEST_F(AutoReplaceTest, AMemberThatRunsIsNotReplaced) {
  // Another node under its name and with its certificate, which finds the others, but not it.
  const size_t twin_of = cluster_.Other(*leader_);
  ServerOptions options = cluster_.server(twin_of).options();
  options.data_dir = cluster_.dir().File("twin");
  options.listen_client = "127.0.0.1:0";
  options.listen_peer = Loopback(PickFreePort());
  options.flags.push_back(absl::StrCat("--advertise_peer=", options.listen_peer));
  ServerProcess twin(options);
  twin.Start();
  ASSERT_TRUE(twin.WaitReady()) << twin.LogTail();
  EXPECT_TRUE(AwaitLog(twin, "has heard it or come to lead within")) << twin.LogTail();
  EXPECT_TRUE(twin.running());
  EXPECT_TRUE(cluster_.server(twin_of).running());
  ExpectVoters(*leader_, {1, 2, 3});
  EXPECT_TRUE(cluster_.client(twin_of).PutText("k", "w").ok());
  EXPECT_TRUE(cluster_.WaitUntilEqual());
}

TEST_F(NoAutoReplaceTest, AWipedMemberThatAsksIsToldThatTheOthersDoNotReplaceIt) {
  const size_t lost = cluster_.Other(*leader_);
  KillAndWipe(lost);
  cluster_.server(lost).options().flags.push_back(kAutoReplace);
  ASSERT_TRUE(cluster_.Start(lost));
  EXPECT_TRUE(AwaitLog(cluster_.server(lost), "runs without --auto_replace"))
      << cluster_.server(lost).LogTail();
  EXPECT_TRUE(cluster_.server(lost).running());
  const auto status = cluster_.client(lost).GetStatus();
  ASSERT_EQ(status->warnings_size(), 1) << status;
  EXPECT_THAT(status->warnings(0), HasSubstr("belongs to no cluster yet: asking"));
  ExpectVoters(*leader_, {1, 2, 3});
  EXPECT_TRUE(cluster_.client(*leader_).PutText("k", "w").ok());
  // As they say: it waits for the command.
  const CommandResult replaced =
      RunCommand({RaftkvctlPath(), "--endpoints", cluster_.client_address(*leader_), "--cacert",
                  tls_.File("ca.pem"), "--cert", tls_.File("client.pem"), "--key",
                  tls_.File("client.key"), "member", "replace", TestCluster::Name(lost)});
  EXPECT_EQ(replaced.exit, (ExitStatus{.code = 0})) << replaced;
  std::vector<uint64_t> ids = {1, 2, 3};
  ids[lost] = 4;
  ExpectVoters(*leader_, ids);
}

TEST_F(NoAutoReplaceTest, AWipedMemberWithoutTheFlagSaysThatThereIsOne) {
  const size_t lost = cluster_.Other(*leader_);
  KillAndWipe(lost);
  ServerProcess& server = cluster_.server(lost);
  server.Start();
  EXPECT_EQ(server.WaitExit(), kDirectoryUnusable);
  EXPECT_THAT(server.Log(), AllOf(HasSubstr("member replace"), HasSubstr("--auto_replace")));
}

}  // namespace
}  // namespace raftkv::integration
