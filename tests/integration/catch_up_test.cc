// Members whose next entries are in nobody's log any more: they are brought a snapshot, under load,
// whoever dies meanwhile.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/rng.h"
#include "tests/support/client_load.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// Far more than the log keeps, and more than a second's work for a snapshot.
constexpr int kKeys = 110;
constexpr size_t kValueBytes = 900'000;
// What of the load is to succeed before a test goes on.
constexpr uint64_t kMoreWrites = 20;

class CatchUpTest : public testing::Test {
 protected:
  // One member is away, and what it lacks is trimmed.
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    leader_ = cluster_.WaitForLeader().value_or(0);
    victim_ = cluster_.Other(leader_);
    ASSERT_TRUE(cluster_.client(leader_).PutText("only/before", "1").ok());
    ASSERT_TRUE(cluster_.WaitUntilEqual());
    cluster_.server(victim_).Kill9();
    ASSERT_TRUE(cluster_.client(leader_).PutText("only/before", "2").ok());
    Fill();
    ASSERT_FALSE(HasFailure());
    // Each looks once a second.
    ASSERT_TRUE(WaitUntil(Millis(10000), [&] { return TrimmedEverywhere(); }));
    term_ = cluster_.client(leader_).GetStatus()->header().raft_term();
  }

  void Fill() {
    Rng rng(7);
    for (int i = 0; i < kKeys; ++i) {
      std::string value(kValueBytes, ' ');
      for (char& c : value) {
        c = static_cast<char>('a' + rng.Below(26));
      }
      values_.push_back(std::move(value));
    }
    std::atomic<int> next{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i) {
      threads.emplace_back([&] {
        for (int key = next++; key < kKeys && !HasFailure(); key = next++) {
          const auto put = cluster_.client(leader_).PutText(Key(key), values_[Index(key)]);
          EXPECT_TRUE(put.ok()) << put;
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
  bool TrimmedEverywhere() {
    for (size_t node = 0; node < cluster_.size(); ++node) {
      if (node != victim_ && !LogHas(node, "one that is away will need a snapshot")) {
        return false;
      }
    }
    return true;
  }

  static std::string Key(int i) { return absl::StrCat("fill/", i); }
  static size_t Index(int i) { return static_cast<size_t>(i); }
  std::vector<std::string> AllClients() const {
    return {cluster_.client_address(0), cluster_.client_address(1), cluster_.client_address(2)};
  }
  bool LogHas(size_t node, const std::string& text) {
    return absl::StrContains(cluster_.server(node).Log(), text);
  }
  void AwaitLog(size_t node, const std::string& text) {
    EXPECT_TRUE(WaitUntil(
        Millis(25000), [&] { return LogHas(node, text); }, Millis(2)))
        << text << "\n"
        << cluster_.server(node).LogTail();
  }

  // Every member has everything, also when asked alone.
  void ExpectEqual() {
    ASSERT_TRUE(cluster_.WaitUntilEqual());
    for (size_t node = 0; node < cluster_.size(); ++node) {
      for (int i = 0; i < kKeys; ++i) {
        const auto got = cluster_.client(node).GetStale(Key(i));
        ASSERT_TRUE(got.ok()) << got;
        ASSERT_EQ(got->kv().text(), values_[Index(i)]) << "n" << node + 1 << " " << Key(i);
      }
      EXPECT_EQ(cluster_.client(node).GetText("only/before")->kv().text(), "2");
      v1::ListRequest count;
      count.mutable_range()->set_prefix("");
      count.set_count_only(true);
      EXPECT_EQ(cluster_.client(node).List(count)->count(), kKeys + 2);
    }
    EXPECT_EQ(cluster_.client(victim_).GetText("load/0")->kv().text(),
              cluster_.client(leader_).GetText("load/0")->kv().text());
  }

  TestCluster cluster_{{.flags = {"--log_bytes_max=16MiB"}}};
  std::vector<std::string> values_;
  size_t leader_ = 0;
  size_t victim_ = 0;
  uint64_t term_ = 0;
};

TEST_F(CatchUpTest, AMemberThatWasAwayCatchesUpUnderLoad) {
  ClientLoad load(AllClients(), /*clients=*/1);
  load.AwaitMore(kMoreWrites);
  ASSERT_TRUE(cluster_.Start(victim_));
  AwaitLog(victim_, "receiving a snapshot as of entry");
  AwaitLog(victim_, "installed the snapshot as of entry");
  AwaitLog(leader_, "has the snapshot as of entry");
  load.AwaitMore(kMoreWrites);
  load.Stop();
  EXPECT_THAT(load.failures(), IsEmpty());
  ExpectEqual();
  const auto status = cluster_.client(leader_).GetStatus();
  EXPECT_EQ(status->header().raft_term(), term_) << "the leader stayed";

  // It is as good as any: it takes part, and comes back by itself.
  cluster_.server(victim_).Kill9();
  ASSERT_TRUE(cluster_.client(leader_).PutText("only/before", "2").ok());
  ASSERT_TRUE(cluster_.Start(victim_));
  ExpectEqual();
  EXPECT_FALSE(LogHas(victim_, "receiving a snapshot")) << "the log had what it lacked";
}

TEST_F(CatchUpTest, TheReceiverMayDie) {
  ClientLoad load(AllClients(), /*clients=*/1);
  ASSERT_TRUE(cluster_.Start(victim_));
  AwaitLog(victim_, "receiving a snapshot as of entry");
  cluster_.server(victim_).Kill9();
  ASSERT_FALSE(LogHas(victim_, "installed the snapshot")) << "it was too quick for this test";
  ASSERT_TRUE(cluster_.Start(victim_));
  AwaitLog(victim_, "installed the snapshot as of entry");
  load.AwaitMore(kMoreWrites);
  load.Stop();
  EXPECT_THAT(load.failures(), IsEmpty());
  ExpectEqual();
  EXPECT_EQ(cluster_.client(leader_).GetStatus()->header().raft_term(), term_);
}

TEST_F(CatchUpTest, TheLeaderMayDie) {
  ClientLoad load(AllClients(), /*clients=*/1);
  ASSERT_TRUE(cluster_.Start(victim_));
  AwaitLog(victim_, "receiving a snapshot as of entry");
  cluster_.server(leader_).Kill9();
  ASSERT_FALSE(LogHas(victim_, "installed the snapshot")) << "it was too quick for this test";
  // Two of three are left, and one of them needs the other's state before anything is committed.
  AwaitLog(victim_, "installed the snapshot as of entry");
  load.AwaitMore(kMoreWrites);
  ASSERT_TRUE(cluster_.Start(leader_));
  load.AwaitMore(kMoreWrites);
  load.Stop();
  ExpectEqual();
}

// Whoever leads next brings its own, in place of what came of the first.
TEST_F(CatchUpTest, TheLeaderMayChange) {
  ClientLoad load(AllClients(), /*clients=*/1);
  ASSERT_TRUE(cluster_.Start(victim_));
  AwaitLog(victim_, "receiving a snapshot as of entry");
  cluster_.server(leader_).Pause();
  ASSERT_FALSE(LogHas(victim_, "installed the snapshot")) << "it was too quick for this test";
  AwaitLog(victim_, "in place of that as of entry");
  AwaitLog(victim_, "installed the snapshot as of entry");
  cluster_.server(leader_).Resume();
  load.AwaitMore(kMoreWrites);
  load.Stop();
  ExpectEqual();
  EXPECT_GT(cluster_.client(victim_).GetStatus()->header().raft_term(), term_);
}

TEST_F(CatchUpTest, EitherMayBeStopped) {
  ASSERT_TRUE(cluster_.Start(victim_));
  AwaitLog(victim_, "receiving a snapshot as of entry");
  EXPECT_EQ(cluster_.server(victim_).Stop(), ExitStatus{.code = 0})
      << cluster_.server(victim_).LogTail();
  ASSERT_FALSE(LogHas(victim_, "installed the snapshot")) << "it was too quick for this test";
  ASSERT_TRUE(cluster_.Start(victim_));
  AwaitLog(victim_, "receiving a snapshot as of entry");
  EXPECT_EQ(cluster_.server(leader_).Stop(), ExitStatus{.code = 0})
      << cluster_.server(leader_).LogTail();
  AwaitLog(victim_, "installed the snapshot as of entry");
  ASSERT_TRUE(cluster_.Start(leader_));
  ASSERT_TRUE(cluster_.client(victim_).PutText("load/0", "1").ok());
  ExpectEqual();
}

}  // namespace
}  // namespace raftkv::integration
