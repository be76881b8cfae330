// A member that has lost its majority: what it still answers, what it refuses, and that what it
// refused never happens.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/support/parallel.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using grpc::StatusCode;

// Leaves one member of three up: the old leader, or one that followed it.
class QuorumLossTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_TRUE(cluster_.StartAll());
    ASSERT_TRUE(cluster_.client(0).PutText("before", "1").ok());
    ASSERT_TRUE(cluster_.WaitUntilEqual());
    const std::optional<size_t> leader = cluster_.WaitForLeader();
    ASSERT_TRUE(leader.has_value());
    left_ = GetParam() ? *leader : cluster_.Other(*leader);
    for (size_t node = 0; node < cluster_.size(); ++node) {
      if (node != left_) {
        cluster_.server(node).Kill9();
      }
    }
  }

  NodeClient& left() { return cluster_.client(left_); }

  static void ExpectNoQuorum(const CallError& error, Clock::time_point start, Millis timeout) {
    const StatusCode code = error.status.error_code();
    EXPECT_TRUE((code == StatusCode::UNAVAILABLE && error.reason == "NO_LEADER") ||
                code == StatusCode::DEADLINE_EXCEEDED ||
                (code == StatusCode::UNKNOWN && error.reason == "OUTCOME_UNKNOWN") ||
                // A leader that does not know yet, with an entry under way before this.
                (code == StatusCode::RESOURCE_EXHAUSTED && error.reason == "OVERLOADED"))
        << error;
    EXPECT_LE(Since(start), timeout + Millis(1000));
    if (error.reason == "NO_LEADER") {
      EXPECT_EQ(error.trailers.count("grpc-retry-pushback-ms"), 1U);
    }
  }

  TestCluster cluster_;
  size_t left_ = 0;
};

// In the log as well as in its status.
TEST_P(QuorumLossTest, ItSaysWhomItCannotReach) {
  std::vector<std::string> missing;
  for (size_t node = 0; node < cluster_.size(); ++node) {
    if (node != left_) {
      missing.push_back(absl::StrCat("member ", TestCluster::Id(node), " \"",
                                     TestCluster::Name(node), "\" for ",
                                     // Whole seconds.
                                     "[0-9]+ s \\([^)]*", cluster_.peer_address(node)));
    }
  }
  const std::string warning = absl::StrCat("no leader is known for [0-9]+ s: .* cannot reach ",
                                           missing[0], ".*, ", missing[1]);
  EXPECT_TRUE(WaitUntil(Millis(15000), [&] {
    return testing::Matches(testing::ContainsRegex(warning))(cluster_.server(left_).Log());
  })) << cluster_.server(left_).LogTail();
  const auto status = left().GetStatus();
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(status->warnings(), testing::Contains(testing::ContainsRegex(warning)));
  ASSERT_EQ(status->peers_size(), 2);
  for (const v1::PeerStatus& peer : status->peers()) {
    EXPECT_FALSE(peer.reachable()) << status->DebugString();
    EXPECT_GT(peer.unreachable_for().seconds(), 0) << status->DebugString();
  }
}

TEST_P(QuorumLossTest, WritesAndLinearizableReadsFailInTimeAndStaleReadsWork) {
  for (const Millis timeout : {Millis(300), Millis(6000)}) {
    Clock::time_point start = Clock::now();
    ExpectNoQuorum(left().PutText("during", "x", timeout), start, timeout);
    start = Clock::now();
    const auto read = left().GetText("before", timeout);
    ExpectNoQuorum(read, start, timeout);
    EXPECT_NE(read.reason, "OUTCOME_UNKNOWN") << "a read has no outcome to be unsure of";
    start = Clock::now();
    v1::ListRequest list = Proto<v1::ListRequest>(R"(range { prefix: "" })");
    ExpectNoQuorum(left().List(list, timeout), start, timeout);
    list.set_consistency(v1::CONSISTENCY_STALE);
    EXPECT_EQ(left().List(list, timeout)->kvs_size(), 1);
    EXPECT_EQ(left().GetStale("before", timeout)->kv().text(), "1");
  }
  EXPECT_TRUE(left().GetStatus().ok());
  EXPECT_TRUE(
      left().ListMembers(Proto<v1::ListMembersRequest>("consistency: CONSISTENCY_STALE")).ok());
  EXPECT_TRUE(left().Healthy("")) << "it lives";
  EXPECT_TRUE(WaitUntil(Millis(10000), [&] {
    return !left().Healthy("raftkv.v1.KvService") && !left().Healthy("raftkv.leader");
  })) << "it is not ready";
  EXPECT_NE(left().GetStatus()->raft_state(), v1::RAFT_STATE_LEADER);
}

TEST_P(QuorumLossTest, NoLeaderIsTheAnswerAfterThreeElectionTimeouts) {
  ASSERT_TRUE(WaitUntil(Millis(10000), [&] { return !left().Healthy("raftkv.v1.KvService"); }));
  const Clock::time_point start = Clock::now();
  const auto put = left().PutText("during", "x", Millis(15000));
  EXPECT_EQ(put.status.error_code(), StatusCode::UNAVAILABLE) << put;
  EXPECT_EQ(put.reason, "NO_LEADER") << put;
  EXPECT_GE(Since(start), Millis(2500)) << "it waits for a leader";
  EXPECT_LE(Since(start), Millis(5000));
}

TEST_P(QuorumLossTest, NoLeaderIsTheAnswerALittleBeforeAnEarlierDeadline) {
  ASSERT_TRUE(WaitUntil(Millis(10000), [&] { return !left().Healthy("raftkv.v1.KvService"); }));
  constexpr Millis kTimeout(2000);
  const Clock::time_point start = Clock::now();
  const auto put = left().PutText("during", "x", kTimeout);
  EXPECT_EQ(put.reason, "NO_LEADER") << put;
  EXPECT_GE(Since(start), kTimeout / 2) << "it waits for a leader";
  const auto get = left().GetText("before", kTimeout);
  EXPECT_EQ(get.reason, "NO_LEADER") << get;
}

TEST_P(QuorumLossTest, WhatWasRefusedNeverHappensAndWhatIsUnknownHappensAtMostOnce) {
  // More than one at a time: some are proposed by a leader that does not know yet, others find
  // none.
  std::mutex mutex;
  std::set<std::string> refused;
  std::set<std::string> unknown;
  ParallelFor(48, 16, [&](size_t i) {
    const std::string key = absl::StrCat("during/", i);
    const Millis timeout = i % 2 == 0 ? Millis(1500) : Millis(8000);
    const auto put = left().PutText(key, "x", timeout);
    EXPECT_FALSE(put.ok()) << "acknowledged by one of three";
    const std::lock_guard<std::mutex> lock(mutex);
    (put.CertainlyNotApplied() ? refused : unknown).insert(key);
  });
  EXPECT_EQ(refused.size() + unknown.size(), 48U);
  ASSERT_TRUE(cluster_.StartAll());
  ASSERT_TRUE(left().PutText("after", "1").ok());
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  for (size_t node = 0; node < cluster_.size(); ++node) {
    for (const std::string& key : refused) {
      EXPECT_FALSE(cluster_.client(node).GetText(key)->has_kv()) << key << " was refused";
    }
    for (const std::string& key : unknown) {
      const auto get = cluster_.client(node).GetText(key);
      ASSERT_TRUE(get.ok()) << get;
      EXPECT_LE(get->kv().version(), 1) << key << " was written twice";
    }
    EXPECT_EQ(cluster_.client(node).GetText("before")->kv().text(), "1");
  }
}

TEST_P(QuorumLossTest, ACallThatWaitsSucceedsWhenTheQuorumComesBackInTime) {
  std::thread writer([&] {
    // Asked for anew as long as the answer is that nothing was proposed.
    Reply<v1::PutResponse> put;
    ASSERT_TRUE(WaitUntil(Millis(20000), [&] {
      put = left().PutText("during", "x", Millis(15000));
      return !put.CertainlyNotApplied();
    }));
    EXPECT_TRUE(put.ok() || put.reason == "OUTCOME_UNKNOWN") << put;
  });
  for (size_t node = 0; node < cluster_.size(); ++node) {
    if (node != left_) {
      EXPECT_TRUE(cluster_.Start(node));
    }
  }
  writer.join();
}

INSTANTIATE_TEST_SUITE_P(Left, QuorumLossTest, testing::Bool(),
                         [](const testing::TestParamInfo<bool>& param) {
                           return param.param ? "TheLeader" : "AFollower";
                         });

}  // namespace
}  // namespace raftkv::integration
