// Drivers whose leader hands over (thesis §3.10).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

using Ended = std::shared_ptr<std::optional<absl::Status>>;

Ended Transfer(DriverCluster& cluster, NodeId leader, NodeId target) {
  auto ended = std::make_shared<std::optional<absl::Status>>();
  cluster.driver(leader).TransferLeadership(target, [ended](const absl::Status& status) {
    EXPECT_FALSE(ended->has_value()) << "it is told once";
    *ended = status;
  });
  return ended;
}

TEST(DriverTransferTest, AnotherLeadsAtOnce) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId target = cluster.Others(leader).back();
  const Ended ended = Transfer(cluster, leader, target);
  EXPECT_TRUE(cluster.driver(leader).is_handing_over());
  cluster.Settle();  // Time stands still.
  EXPECT_EQ(cluster.driver(target).core().role(), RaftRole::kLeader);
  EXPECT_EQ(cluster.driver(leader).core().leader(), target);
  ASSERT_TRUE(ended->has_value());
  EXPECT_TRUE((*ended)->ok()) << **ended;
  EXPECT_FALSE(cluster.driver(leader).is_handing_over());
}

TEST(DriverTransferTest, NoRequestFails) {
  DriverCluster cluster({});
  for (int round = 0; round < 10; ++round) {
    const NodeId leader = cluster.AwaitLeader();
    std::vector<std::shared_ptr<ProposalProbe>> writes;
    std::vector<std::shared_ptr<ReadProbe>> reads;
    const auto ask = [&](const std::string& when) {
      for (const NodeId node : cluster.nodes()) {
        writes.push_back(cluster.Propose(node, when));
        reads.push_back(cluster.Read(node));
      }
    };
    ask("before");
    const Ended ended = Transfer(cluster, leader, kNobody);
    ask("during");
    cluster.Settle();
    ask("after");
    cluster.Tick(5);
    ASSERT_TRUE(ended->has_value() && (*ended)->ok());
    for (const auto& write : writes) {
      EXPECT_EQ(write->result, ProposalResult::kApplied) << write->command;
    }
    for (const auto& read : reads) {
      EXPECT_EQ(read->result, ReadResult::kReady);
    }
  }
  for (const NodeId node : cluster.nodes()) {
    EXPECT_EQ(cluster.machine(node).commands().size(), 90u) << "each once";
  }
}

TEST(DriverTransferTest, WhatWaitedGoesOnWhenNobodyTakesOver) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId target = cluster.Others(leader).front();
  // The target is heard, and hears all but that.
  cluster.machine(target).TakeAll();
  cluster.driver(target).Retire();
  const Ended ended = Transfer(cluster, leader, target);
  cluster.Settle();
  const auto write = cluster.Propose(leader, "a");
  cluster.Settle();
  EXPECT_FALSE(write->result.has_value());
  EXPECT_FALSE(ended->has_value());
  ASSERT_TRUE(cluster.TickUntil([&] { return ended->has_value(); }, 11));
  EXPECT_TRUE(absl::IsAborted(**ended)) << **ended;
  EXPECT_EQ(cluster.driver(leader).core().role(), RaftRole::kLeader);
  cluster.Settle();
  EXPECT_EQ(write->result, ProposalResult::kApplied);
}

TEST(DriverTransferTest, EveryoneWhoWaitsIsTold) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const NodeId other = cluster.Others(leader).back();
  const Ended first = Transfer(cluster, leader, other);
  const Ended second = Transfer(cluster, leader, kNobody);
  const Ended third = Transfer(cluster, leader, cluster.Others(leader).front());
  ASSERT_TRUE(third->has_value());
  EXPECT_TRUE(absl::IsFailedPrecondition(**third)) << **third;
  cluster.Settle();
  EXPECT_TRUE(first->has_value() && (*first)->ok());
  EXPECT_TRUE(second->has_value() && (*second)->ok());
}

TEST(DriverTransferTest, OnlyALeaderHandsOver) {
  DriverCluster cluster({});
  const NodeId leader = cluster.AwaitLeader();
  const Ended refused = Transfer(cluster, cluster.Others(leader).front(), kNobody);
  ASSERT_TRUE(refused->has_value());
  EXPECT_TRUE(absl::IsUnavailable(**refused)) << **refused;
  const Ended stopped = Transfer(cluster, leader, kNobody);
  cluster.driver(leader).Shutdown();
  ASSERT_TRUE(stopped->has_value());
  EXPECT_TRUE(absl::IsUnavailable(**stopped)) << **stopped;
}

}  // namespace
}  // namespace raftkv::raft
