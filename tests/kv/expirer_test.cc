#include "kv/expirer.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/store_fixture.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_transport.h"
#include "tests/support/memory_log_store.h"

namespace raftkv::storage {
namespace {

using testing::SizeIs;

class IgnoringObserver final : public raft::DriverObserver {
 public:
  void OnEvent(const raft::Event&) override {}
};

// One member with a real driver, core and state machine; scans run when the test says so.
class ExpirerTest : public testing::Test {
 protected:
  ExpirerTest() : store_(dir_.File("data")) {
    store_.Open();
    raft::RaftConfig config;
    config.self = raft::NodeId(1);
    raft::RestoredState restored;
    restored.configuration.voters = {raft::NodeId(1)};
    auto core = std::make_unique<raft::RaftCore>(config, std::move(restored), Rng(1));
    driver_ = std::make_unique<raft::RaftDriver>(
        raft::DriverOptions{.proposals_max = kProposalsMax}, /*origin=*/7, std::move(core),
        raft::ClusterReading{.term = raft::Term(0), .time = raft::ClusterMillis(1000)}, &transport_,
        &log_, &store_.machine(), &clock_, &observer_);
    expirer_ = std::make_unique<kv::Expirer>(
        driver_.get(), &store_.machine(), &clock_,
        [this](std::shared_ptr<const kv::KvView> view, raft::ClusterMillis now,
               std::function<void(absl::StatusOr<kv::DueKeys>)> done) {
          ++scans_;
          scan_queue_.push_back([this, view = std::move(view), now, done = std::move(done)] {
            done(fail_scans_ ? absl::StatusOr<kv::DueKeys>(absl::DataLossError("broken"))
                             : view->FindDueKeys(now, scan_keys_max_));
          });
        });
  }

  void Turn() {
    // A flush in the background can make an apply wait for the cache; it is offered again.
    while (driver_->RunTurn() || log_.has_news() ||
           store_.machine().applied().index < driver_->core().commit_index()) {
      std::this_thread::yield();
    }
  }
  void Tick(int count = 1) {
    for (int i = 0; i < count; ++i) {
      clock_.Advance(10 * kNanosPerMilli);
      driver_->Tick();
      Turn();
      expirer_->Tick();
      Turn();
    }
  }
  void RunScans() {
    while (!scan_queue_.empty()) {
      const std::function<void()> scan = std::move(scan_queue_.front());
      scan_queue_.pop_front();
      scan();
      Turn();
    }
  }
  void BecomeLeader() {
    for (int i = 0; i < 1000 && !driver_->core().has_committed_in_term(); ++i) {
      Tick();
    }
    ASSERT_TRUE(driver_->core().has_committed_in_term());
  }
  void Propose(const log::v1::Command& command) {
    bool done = false;
    driver_->Propose(command.SerializeAsString(), clock_.Now() + kNanosPerSecond,
                     [&done](raft::ProposalResult result, std::string) {
                       EXPECT_EQ(result, raft::ProposalResult::kApplied);
                       done = true;
                     });
    for (int i = 0; i < 50 && !done; ++i) {
      Turn();
    }
    ASSERT_TRUE(done);
  }

  static constexpr uint64_t kProposalsMax = 8;

  TempDir dir_;
  Store store_;
  FakeClock clock_;
  raft::FakeTransport transport_;
  raft::MemoryLogStore log_;
  IgnoringObserver observer_;
  int scans_ = 0;
  bool fail_scans_ = false;
  uint64_t scan_keys_max_ = kv::Expirer::kKeysMax;
  std::deque<std::function<void()>> scan_queue_;
  std::unique_ptr<raft::RaftDriver> driver_;
  std::unique_ptr<kv::Expirer> expirer_;
};

TEST_F(ExpirerTest, RemovesAKeyOnceItIsDueAndNotBefore) {
  BecomeLeader();
  Propose(PutTtl("a", "1", 500));
  Propose(Put("b", "1"));
  Tick(49);
  RunScans();
  EXPECT_EQ(store_.Value("a"), "1");
  EXPECT_EQ(scans_, 0) << "nothing was due";
  Tick(3);
  RunScans();
  EXPECT_EQ(store_.Value("a"), "(absent)");
  EXPECT_EQ(store_.Value("b"), "1");
  // The next scan finds nothing more and says so, after which there is peace.
  Tick();
  RunScans();
  const int scans = scans_;
  Tick(100);
  EXPECT_EQ(scans_, scans);
  EXPECT_EQ(store_.machine().earliest_deadline(), raft::ClusterMillis(0));
}

TEST_F(ExpirerTest, OneScanAtATime) {
  BecomeLeader();
  Propose(PutTtl("a", "1", 10));
  Tick(20);
  EXPECT_THAT(scan_queue_, SizeIs(1));
}

TEST_F(ExpirerTest, KeyThatWasWrittenAgainDuringTheScanStays) {
  BecomeLeader();
  Propose(PutTtl("a", "1", 10));
  Tick(5);
  ASSERT_THAT(scan_queue_, SizeIs(1));
  Propose(PutTtl("a", "2", 100'000));
  RunScans();
  EXPECT_EQ(store_.Value("a"), "2");
}

TEST_F(ExpirerTest, ManyDueKeysGoWithoutWaitingForTicks) {
  BecomeLeader();
  scan_keys_max_ = 1500;
  for (int batch = 0; batch < 8; ++batch) {
    std::vector<log::v1::Operation> operations;
    for (int i = 0; i < 500; ++i) {
      operations.push_back(
          PutTtlOp("key" + std::to_string(batch) + "." + std::to_string(i), "v", 10));
    }
    Propose(Txn({}, operations));
  }
  Tick(5);
  ASSERT_EQ(store_.machine().key_count(), 4000);
  RunScans();
  EXPECT_EQ(store_.machine().key_count(), 0);
  EXPECT_LE(scans_, 4);
}

// Neither the log nor the wire carries the keys.
TEST_F(ExpirerTest, ManyDueKeysGoByAFewSmallCommands) {
  BecomeLeader();
  const std::string prefix(200, 'k');
  std::vector<log::v1::Operation> operations;
  for (int i = 0; i < 2000; ++i) {
    operations.push_back(PutTtlOp(prefix + std::to_string(i), "v", 10));
  }
  Propose(Txn({}, operations));
  const size_t entries = log_.entries().size();
  Tick(5);
  RunScans();
  EXPECT_EQ(store_.machine().key_count(), 0);
  uint64_t bytes = 0;
  for (size_t i = entries; i < log_.entries().size(); ++i) {
    bytes += log_.entries()[i].size_bytes();
  }
  EXPECT_LT(bytes, 4000u);
}

TEST_F(ExpirerTest, FollowerDoesNothing) {
  // Rows are there, but this member leads nobody.
  store_.Apply({CommandEntry(1, {PutTtl("a", "1", 1)})});
  for (int i = 0; i < 10; ++i) {
    clock_.Advance(kNanosPerSecond);
    expirer_->Tick();
  }
  EXPECT_EQ(scans_, 0);
}

TEST_F(ExpirerTest, ARefusedRemovalIsTriedAgainLater) {
  BecomeLeader();
  Propose(PutTtl("a", "1", 10));
  Tick(5);
  ASSERT_THAT(scan_queue_, SizeIs(1));
  // No room is left for what the scan leads to.
  for (uint64_t i = 0; i < kProposalsMax; ++i) {
    driver_->Propose(Put("b", "1").SerializeAsString(), clock_.Now() + kNanosPerSecond,
                     [](raft::ProposalResult, std::string) {});
  }
  RunScans();
  EXPECT_EQ(store_.Value("a"), "1");
  Tick(5);
  EXPECT_EQ(scans_, 1) << "not at once";
  Tick(100);
  RunScans();
  EXPECT_EQ(store_.Value("a"), "(absent)");
}

TEST_F(ExpirerTest, FailedScanIsTriedAgainLater) {
  BecomeLeader();
  Propose(PutTtl("a", "1", 10));
  fail_scans_ = true;
  Tick(5);
  RunScans();
  EXPECT_EQ(scans_, 1);
  Tick(5);
  EXPECT_EQ(scans_, 1) << "not at once";
  fail_scans_ = false;
  Tick(100);
  RunScans();
  EXPECT_EQ(store_.Value("a"), "(absent)");
}

}  // namespace
}  // namespace raftkv::storage
