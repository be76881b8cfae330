// Leaders that die or freeze under load: no acknowledged write is lost, no linearizable read is
// stale, and clients wait no longer than an election takes.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <iostream>
#include <optional>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/support/parallel.h"
#include "tests/support/workload.h"

namespace raftkv::integration {
namespace {

// Nobody who waits for it elects a new leader sooner.
constexpr Millis kElectionTimeout = Millis(1000);
// All members replay their log before they can elect anybody.
constexpr Millis kRestartMax = Millis(5000);
constexpr Millis kFreeze = Millis(5000);

class FailoverTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    workload_.emplace(&cluster_);
    workload_->WaitForSuccesses(200);
  }

  void FinishAndVerify() {
    ASSERT_TRUE(cluster_.WaitForLeader().has_value());
    workload_->WaitForSuccesses(100);
    workload_->Finish();
    ASSERT_TRUE(cluster_.WaitUntilEqual());
    workload_->Verify();
  }

  // Time from `start` until one of `nodes` has acknowledged a write that began after it.
  Millis FirstWriteSince(Clock::time_point start, const std::vector<size_t>& nodes) {
    std::atomic<bool> done{false};
    std::atomic<int64_t> first_ms{-1};
    ParallelFor(nodes.size(), nodes.size(), [&](size_t i) {
      while (!done && Since(start) < Millis(20000)) {
        if (cluster_.client(nodes[i]).PutText("probe", "x", Millis(3000)).ok()) {
          int64_t none = -1;
          first_ms.compare_exchange_strong(none, Since(start).count());
          done = true;
        }
      }
    });
    EXPECT_TRUE(done) << "no write in 20 s";
    return Millis(first_ms.load());
  }

  std::vector<size_t> AllBut(size_t node) const {
    std::vector<size_t> others;
    for (size_t other = 0; other < cluster_.size(); ++other) {
      if (other != node) {
        others.push_back(other);
      }
    }
    return others;
  }

  void KillLeaders(int times) {
    std::vector<Millis> outages;
    for (int i = 1; i <= times; ++i) {
      const std::optional<size_t> leader = cluster_.WaitForLeader();
      ASSERT_TRUE(leader.has_value());
      const Clock::time_point start = Clock::now();
      cluster_.server(*leader).Kill9();
      const Millis outage = FirstWriteSince(start, AllBut(*leader));
      EXPECT_LE(outage, kFailoverMax) << "kill " << i;
      outages.push_back(outage);
      std::cout << "kill " << i << " of " << TestCluster::Name(*leader) << ": writes again after "
                << outage.count() << " ms\n";
      ASSERT_TRUE(cluster_.Start(*leader));
      workload_->WaitForSuccesses(100);
    }
    std::sort(outages.begin(), outages.end());
    EXPECT_LT(outages[outages.size() / 2], kElectionTimeout)
        << "who took no connection any more was waited for";
    FinishAndVerify();
  }

  void KillEverybody(int times) {
    for (int i = 1; i <= times; ++i) {
      cluster_.KillAll();
      const Clock::time_point start = Clock::now();
      ASSERT_TRUE(cluster_.StartAll());
      const Millis outage = FirstWriteSince(start, {0, 1, 2});
      EXPECT_LE(outage, kRestartMax) << "kill " << i;
      std::cout << "kill " << i << " of all: writes again after " << outage.count() << " ms\n";
      workload_->WaitForSuccesses(100);
    }
    FinishAndVerify();
  }

  // Registers that only this thread writes, through one member.
  void WriteOwnRegisters(NodeClient* client) {
    for (size_t i = 0; i < kOwnRegisters; ++i) {
      EXPECT_TRUE(workload_->Put(OwnRegister(i), client)) << client->address();
    }
  }

  // Reads asked of the frozen leader after others have acknowledged newer writes; they are answered
  // when it wakes, and what it knew when it froze would be stale.
  std::thread ReadOwnRegisters(NodeClient* frozen) {
    return std::thread([this, frozen] {
      ParallelFor(2 * kOwnRegisters, 2 * kOwnRegisters, [&](size_t i) {
        answered_ += workload_->Get(OwnRegister(i % kOwnRegisters), frozen) ? 1 : 0;
      });
    });
  }

  void FreezeLeaders(int times) {
    for (int i = 1; i <= times; ++i) {
      const std::optional<size_t> leader = cluster_.WaitForLeader();
      ASSERT_TRUE(leader.has_value());
      WriteOwnRegisters(&cluster_.client(*leader));
      const Clock::time_point start = Clock::now();
      cluster_.Pause(*leader);
      const Millis outage = FirstWriteSince(start, AllBut(*leader));
      EXPECT_LE(outage, kFailoverMax) << "freeze " << i;
      WriteOwnRegisters(&cluster_.client(cluster_.Other(*leader)));
      std::thread reads = ReadOwnRegisters(&cluster_.client(*leader));
      EXPECT_TRUE(WaitUntil(2 * kFreeze, [&] { return Since(start) >= kFreeze; }));
      cluster_.Resume(*leader);
      reads.join();
      std::cout << "freeze " << i << " of " << TestCluster::Name(*leader) << ": writes again after "
                << outage.count() << " ms, " << answered_ << " late reads answered so far\n";
      workload_->WaitForSuccesses(100);
    }
    EXPECT_GT(answered_, 0) << "a leader that wakes finds the new one and answers";
    FinishAndVerify();
  }

  static constexpr size_t kOwnRegisters = 16;
  static std::string OwnRegister(size_t i) { return absl::StrCat("own/", i); }

  TestCluster cluster_;
  std::optional<Workload> workload_;
  std::atomic<int> answered_{0};
};

using LongFailoverTest = FailoverTest;

TEST_F(FailoverTest, LeadersKilledInARow) { KillLeaders(5); }
TEST_F(FailoverTest, AllMembersKilledAtOnce) { KillEverybody(2); }
TEST_F(FailoverTest, LeaderFrozenForFiveSeconds) { FreezeLeaders(1); }

TEST_F(LongFailoverTest, LeadersKilledInARow) { KillLeaders(20); }
TEST_F(LongFailoverTest, AllMembersKilledAtOnce) { KillEverybody(5); }
TEST_F(LongFailoverTest, LeaderFrozenForFiveSeconds) { FreezeLeaders(3); }

}  // namespace
}  // namespace raftkv::integration
