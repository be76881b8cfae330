// Leaders that hand over: when they are told to, and when they are stopped. Elections by timeout
// would take longer than anything here may.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/client.h"
#include "tests/support/child_process.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;

constexpr Millis kLongElectionTimeout(5000);
// A pause of the whole machine is longer than a handover.
constexpr Millis kHandoverMax(2500);

class TransferTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    const std::optional<size_t> leader = cluster_.WaitForLeader(2 * kLongElectionTimeout);
    ASSERT_TRUE(leader.has_value());
    leader_ = *leader;
  }

  CommandResult MoveLeader(size_t asked, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {RaftkvctlPath(), "--endpoints",
                                         cluster_.client_address(asked), "move-leader"});
    return RunCommand(arguments);
  }

  TestCluster cluster_{
      {.flags = {absl::StrCat("--election_timeout_ms=", kLongElectionTimeout.count())}}};
  size_t leader_ = 0;
};

TEST_F(TransferTest, AnyMemberTakesTheRequest) {
  for (size_t asked = 0; asked < cluster_.size(); ++asked) {
    const size_t target = cluster_.Other(leader_);
    const Clock::time_point start = Clock::now();
    const CommandResult moved = MoveLeader(asked, {TestCluster::Name(target)});
    EXPECT_EQ(moved.exit, (ExitStatus{.code = 0})) << moved;
    EXPECT_LE(Since(start), kHandoverMax);
    EXPECT_EQ(moved.out, absl::StrCat("member ", TestCluster::Id(target), " leads\n"));
    leader_ = target;
    EXPECT_EQ(cluster_.WaitForLeader(), leader_);
    EXPECT_EQ(MoveLeader(asked, {TestCluster::Name(target)}).exit, (ExitStatus{.code = 0}))
        << "it leads already";
  }
  const CommandResult moved = MoveLeader(cluster_.Other(leader_), {});
  EXPECT_EQ(moved.exit, (ExitStatus{.code = 0})) << moved;
  EXPECT_NE(cluster_.WaitForLeader(), leader_);
}

TEST_F(TransferTest, WhoCannotLeadIsNamed) {
  const CommandResult nobody = MoveLeader(leader_, {"n9"});
  EXPECT_EQ(nobody.exit, (ExitStatus{.code = 4})) << nobody;
  EXPECT_THAT(nobody.err, HasSubstr("no member has name \"n9\""));
  const size_t dead = cluster_.Other(leader_);
  cluster_.server(dead).Kill9();
  // Until it is missed the leader waits for it; then it says so at once.
  for (const size_t asked : {leader_, cluster_.Other(dead)}) {
    const CommandResult refused =
        RunCommand({RaftkvctlPath(), "--command-timeout", "20s", "--endpoints",
                    cluster_.client_address(asked), "move-leader", TestCluster::Name(dead)});
    EXPECT_EQ(refused.exit, (ExitStatus{.code = 4})) << refused;
    EXPECT_THAT(refused.err, HasSubstr(absl::StrCat("node ", TestCluster::Id(dead))));
    EXPECT_EQ(cluster_.WaitForLeader(), leader_);
  }
  EXPECT_TRUE(cluster_.client(leader_).PutText("a", "1").ok()) << "it goes on";
}

// Writes without pause, as programs do with the library; counts what fails.
class Writer {
 public:
  explicit Writer(TestCluster& cluster) {
    for (size_t node = 0; node < cluster.size(); ++node) {
      endpoints_.push_back(cluster.client_address(node));
    }
    for (size_t i = 0; i < 4; ++i) {
      threads_.emplace_back([this, i] { Write(i); });
    }
  }
  ~Writer() { Finish(); }

  void Finish() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      thread.join();
    }
    threads_.clear();
  }
  int64_t writes() const { return writes_; }
  int64_t failed() const { return failed_; }
  Millis longest() const { return Millis(longest_ms_.load()); }

 private:
  void Write(size_t number) {
    absl::StatusOr<Client> client = Client::Create({.endpoints = endpoints_});
    ASSERT_TRUE(client.ok()) << client.status();
    while (!stop_) {
      const Clock::time_point start = Clock::now();
      const absl::StatusOr<PutResult> put =
          client->Put(absl::StrCat("key", number), absl::StrCat(writes_.load()));
      int64_t longest = longest_ms_;
      while (longest < Since(start).count() &&
             !longest_ms_.compare_exchange_weak(longest, Since(start).count())) {
      }
      ++writes_;
      if (!put.ok()) {
        ++failed_;
        std::cout << "failed: " << put.status() << "\n";
      }
    }
  }

  std::vector<std::string> endpoints_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stop_{false};
  std::atomic<int64_t> writes_{0};
  std::atomic<int64_t> failed_{0};
  std::atomic<int64_t> longest_ms_{0};
};

TEST_F(TransferTest, ALeaderThatIsStoppedHandsOverFirst) {
  Writer writer(cluster_);
  for (int round = 0; round < 3; ++round) {
    const std::optional<size_t> leader = cluster_.WaitForLeader();
    ASSERT_TRUE(leader.has_value());
    const int64_t before = writer.writes();
    ASSERT_TRUE(WaitUntil(Millis(20000), [&] { return writer.writes() > before + 200; }));
    const Clock::time_point start = Clock::now();
    const std::optional<ExitStatus> end = cluster_.server(*leader).Stop();
    EXPECT_EQ(end, (ExitStatus{.code = 0}));
    EXPECT_LE(Since(start), kHandoverMax);
    EXPECT_NE(cluster_.WaitForLeader(kHandoverMax), leader);
    ASSERT_TRUE(cluster_.Start(*leader));
  }
  writer.Finish();
  std::cout << writer.writes() << " writes, the longest took " << writer.longest().count()
            << " ms\n";
  EXPECT_EQ(writer.failed(), 0);
  EXPECT_LE(writer.longest(), kHandoverMax);
  EXPECT_TRUE(cluster_.WaitUntilEqual());
}

}  // namespace
}  // namespace raftkv::integration
