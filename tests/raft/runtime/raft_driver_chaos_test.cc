// Random schedules from seeds: what clients were told must fit what every member applied.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/rng.h"
#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

constexpr int kStepsPerSeed = 400;

class Chaos {
 public:
  explicit Chaos(uint64_t seed)
      : small_logs_(HasSmallLogs(seed)), rng_(seed), cluster_(Options(seed)) {}

  void Run() {
    for (int step = 0; step < kStepsPerSeed; ++step) {
      OneStep();
    }
    cluster_.SetHold(nullptr);
    for (const NodeId node : cluster_.nodes()) {
      cluster_.store(node).ReleaseWrites();
      cluster_.machine(node).TakeAll();
      cluster_.machine(node).HoldAdopt(false);
    }
    cluster_.Heal();
    cluster_.AwaitLeader();
    cluster_.Tick(200);
  }

  void Check() {
    const std::vector<std::string>& commands = cluster_.machine(NodeId(1)).commands();
    for (const NodeId node : cluster_.nodes()) {
      EXPECT_EQ(cluster_.machine(node).commands(), commands) << node;
    }
    for (const auto& probe : probes_) {
      const auto times = std::count(commands.begin(), commands.end(), probe->command);
      EXPECT_LE(times, 1) << probe->command;
      if (!probe->result.has_value() || probe->result == ProposalResult::kOutcomeUnknown) {
        continue;
      }
      EXPECT_EQ(times, probe->result == ProposalResult::kApplied ? 1 : 0)
          << probe->command << " was told result " << static_cast<int>(*probe->result);
    }
    EXPECT_EQ(stale_reads_, 0);
    EXPECT_GT(CountOf(ProposalResult::kApplied), 0);
  }

  int CountOf(ProposalResult result) const {
    return static_cast<int>(std::count_if(probes_.begin(), probes_.end(), [&](const auto& probe) {
      return probe->result == result;
    }));
  }
  int ready_reads() const { return ready_reads_; }
  // By members, in all their lives.
  uint64_t snapshots_adopted() {
    uint64_t adopted = 0;
    for (const NodeId node : cluster_.nodes()) {
      adopted += cluster_.machine(node).snapshots_adopted();
    }
    return adopted;
  }
  const std::vector<std::string>& commands() { return cluster_.machine(NodeId(1)).commands(); }

 private:
  static bool HasSmallLogs(uint64_t seed) { return seed % 2 == 0; }
  static DriverClusterOptions Options(uint64_t seed) {
    DriverClusterOptions options;
    options.seed = seed;
    options.driver.entry_commands_max = 3;
    options.driver.proposals_max = 8;
    if (HasSmallLogs(seed)) {
      // A log takes two or three entries.
      options.log_memory_bytes_max = 300;
      options.driver.log_bytes_max = 300;
      options.driver.log_entries_kept = 1;
      options.driver.snapshot_retry_after = 20 * kNanosPerMilli;
    }
    return options;
  }

  NodeId AnyNode() { return NodeId(1 + rng_.Below(3)); }

  void OneStep() {
    switch (rng_.Below(14)) {
      case 0:
        cluster_.Isolate(AnyNode());
        break;
      case 1:
      case 2:
        // Long absences where they matter.
        if (!small_logs_ || rng_.Below(4) == 0) {
          cluster_.Heal();
        }
        break;
      case 3: {
        const NodeId from = AnyNode();
        const NodeId to = AnyNode();
        if (from != to) {
          cluster_.LoseForwardStream(from, to);
        }
        break;
      }
      case 4:
        HoldSomething();
        break;
      case 5:
      case 6:
        cluster_.SetHold(nullptr);
        break;
      case 7:
        cluster_.store(AnyNode()).HoldWrites();
        break;
      case 8:
        for (const NodeId node : cluster_.nodes()) {
          cluster_.store(node).ReleaseWrites();
          cluster_.machine(node).TakeAll();
          cluster_.machine(node).HoldAdopt(false);
        }
        break;
      case 9:
        cluster_.machine(AnyNode()).TakeAtMost(rng_.Below(2));
        cluster_.machine(AnyNode()).HoldAdopt(rng_.Below(2) == 0);
        break;
      case 10:
        if (rng_.Below(4) == 0) {
          cluster_.Restart(AnyNode());
        }
        break;
      default:
        AskSomething();
        break;
    }
    if (rng_.Below(3) == 0) {
      cluster_.Tick(1 + rng_.Below(25));
    } else {
      cluster_.driver(AnyNode()).RunTurn();
    }
  }

  void HoldSomething() {
    const NodeId node = AnyNode();
    const auto kind = static_cast<Traffic>(rng_.Below(4));
    cluster_.SetHold([node, kind](NodeId from, NodeId, Traffic traffic) {
      return from == node && traffic == kind;
    });
  }

  void AskSomething() {
    for (uint64_t i = rng_.Below(5); i > 0; --i) {
      const NodeId node = AnyNode();
      const MonotonicNanos timeout =
          static_cast<MonotonicNanos>(1 + rng_.Below(600)) * kNanosPerMilli;
      if (rng_.Below(3) == 0) {
        AskRead(node, timeout);
      } else {
        AskWrite(node, timeout);
      }
    }
  }

  void AskWrite(NodeId node, MonotonicNanos timeout) {
    auto probe = std::make_shared<ProposalProbe>();
    probe->command = "w" + std::to_string(probes_.size());
    probes_.push_back(probe);
    cluster_.driver(node).Propose(probe->command, cluster_.clock().Now() + timeout,
                                  [this, node, probe](ProposalResult result, std::string) {
                                    ASSERT_FALSE(probe->result.has_value()) << "answered twice";
                                    probe->result = result;
                                    if (result == ProposalResult::kApplied) {
                                      acknowledged_ = std::max(
                                          acknowledged_, cluster_.machine(node).applied().index);
                                    }
                                  });
  }

  void AskRead(NodeId node, MonotonicNanos timeout) {
    const LogIndex acknowledged_before = acknowledged_;
    cluster_.driver(node).Read(
        cluster_.clock().Now() + timeout, [this, node, acknowledged_before](ReadResult result) {
          if (result == ReadResult::kReady) {
            ++ready_reads_;
            stale_reads_ += cluster_.machine(node).applied().index < acknowledged_before ? 1 : 0;
          }
        });
  }

  const bool small_logs_;
  Rng rng_;
  DriverCluster cluster_;
  std::vector<std::shared_ptr<ProposalProbe>> probes_;
  // No linearizable read that is asked for from now on may be served below this.
  LogIndex acknowledged_;
  int ready_reads_ = 0;
  int stale_reads_ = 0;
};

TEST(RaftDriverChaosTest, WhatClientsAreToldHolds) {
  std::map<ProposalResult, int> seen;
  int ready_reads = 0;
  uint64_t snapshots_adopted = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    Chaos chaos(seed);
    chaos.Run();
    chaos.Check();
    for (const ProposalResult result :
         {ProposalResult::kApplied, ProposalResult::kNoLeader, ProposalResult::kOverloaded,
          ProposalResult::kOutcomeUnknown}) {
      seen[result] += chaos.CountOf(result);
    }
    ready_reads += chaos.ready_reads();
    snapshots_adopted += chaos.snapshots_adopted();
    if (testing::Test::HasFailure()) {
      return;
    }
  }
  // Schedules that never get anywhere would prove nothing.
  for (const auto& [result, count] : seen) {
    EXPECT_GT(count, 20) << static_cast<int>(result);
  }
  EXPECT_GT(seen[ProposalResult::kApplied], 500);
  EXPECT_GT(ready_reads, 250);
  EXPECT_GT(snapshots_adopted, 20u);
}

TEST(RaftDriverChaosTest, EqualSeedsGiveEqualRuns) {
  Chaos first(7);
  first.Run();
  Chaos second(7);
  second.Run();
  EXPECT_EQ(first.commands(), second.commands());
  EXPECT_EQ(first.CountOf(ProposalResult::kOutcomeUnknown),
            second.CountOf(ProposalResult::kOutcomeUnknown));
  EXPECT_EQ(first.ready_reads(), second.ready_reads());
}

}  // namespace
}  // namespace raftkv::raft
