// Three members, all well: any of them takes any request.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

// One cluster for all of them, without a key at first: they stop nobody.
class ClusterTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    shared_ = std::make_unique<TestCluster>();
    ASSERT_TRUE(shared_->StartAll());
  }
  static void TearDownTestSuite() { shared_.reset(); }

  void SetUp() override {
    const auto emptied =
        cluster_.client(0).DeleteRange(Proto<v1::DeleteRangeRequest>(R"(range { prefix: "" })"));
    ASSERT_TRUE(emptied.ok()) << emptied;
    revision_ = emptied->header().revision();
  }

  static std::unique_ptr<TestCluster> shared_;
  TestCluster& cluster_ = *shared_;
  int64_t revision_ = 0;
};

std::unique_ptr<TestCluster> ClusterTest::shared_;

TEST_F(ClusterTest, EveryMemberTakesWritesAndAllReadThemAtOnce) {
  int64_t revision = revision_;
  for (int round = 0; round < 20; ++round) {
    for (size_t writer = 0; writer < cluster_.size(); ++writer) {
      const std::string value = absl::StrCat("round ", round, " by ", TestCluster::Name(writer));
      const auto put = cluster_.client(writer).PutText("key", value);
      ASSERT_TRUE(put.ok()) << put;
      EXPECT_EQ(put->header().revision(), ++revision);
      EXPECT_EQ(put->header().member_id(), TestCluster::Id(writer));
      for (size_t reader = 0; reader < cluster_.size(); ++reader) {
        const auto get = cluster_.client(reader).GetText("key");
        ASSERT_TRUE(get.ok()) << get;
        EXPECT_EQ(get->kv().text(), value) << "written by " << TestCluster::Name(writer)
                                           << ", read by " << TestCluster::Name(reader);
        EXPECT_EQ(get->header().revision(), revision);
      }
    }
  }
}

TEST_F(ClusterTest, EveryKindOfRequestIsForwarded) {
  for (size_t node = 0; node < cluster_.size(); ++node) {
    NodeClient& client = cluster_.client(node);
    ASSERT_TRUE(client.PutText("a", "1").ok());
    const auto conflict =
        client.Put(Proto<v1::PutRequest>(R"(key: "a" text: "2" precondition { exists: false })"));
    EXPECT_EQ(conflict.reason, "PRECONDITION_FAILED") << conflict;
    EXPECT_NE(conflict.Meta("mod_revision"), "0");
    const auto previous =
        client.Put(Proto<v1::PutRequest>(R"(key: "a" text: "3" return_previous: true)"));
    ASSERT_TRUE(previous.ok()) << previous;
    EXPECT_EQ(previous->previous().data(), "1");
    const auto list = client.List(Proto<v1::ListRequest>(R"(range { prefix: "" })"));
    ASSERT_TRUE(list.ok()) << list;
    EXPECT_EQ(list->kvs_size(), 1);
    const auto removed = client.DeleteRange(
        Proto<v1::DeleteRangeRequest>(R"(range { prefix: "" } return_previous: true)"));
    ASSERT_TRUE(removed.ok()) << removed;
    EXPECT_EQ(removed->deleted(), 1);
    EXPECT_EQ(removed->previous(0).data(), "3");
    const auto gone = client.Delete(Proto<v1::DeleteRequest>(R"(key: "a")"));
    ASSERT_TRUE(gone.ok()) << gone;
    EXPECT_FALSE(gone->deleted());
  }
}

TEST_F(ClusterTest, StaleReadsCatchUpAndWaitForARevision) {
  const auto put = cluster_.client(0).PutText("a", "1");
  ASSERT_TRUE(put.ok()) << put;
  for (size_t node = 0; node < cluster_.size(); ++node) {
    v1::GetRequest request;
    request.set_key("a");
    request.set_as_text(true);
    request.set_consistency(v1::CONSISTENCY_STALE);
    request.set_min_revision(put->mod_revision());
    const auto get = cluster_.client(node).Get(request);
    ASSERT_TRUE(get.ok()) << get;
    EXPECT_EQ(get->kv().text(), "1");
    EXPECT_GE(get->header().revision(), put->mod_revision());
    EXPECT_EQ(cluster_.client(node).GetStale("a")->kv().text(), "1") << "applied, so it stays";
  }
}

TEST_F(ClusterTest, MembersAreListedWithWhatTheyPublished) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  for (size_t node = 0; node < cluster_.size(); ++node) {
    Reply<v1::ListMembersResponse> reply;
    const auto published = [&](const v1::Member& member) {
      return !member.version().empty() && !member.client_address().empty();
    };
    ASSERT_TRUE(WaitUntil(Millis(10000),
                          [&] {
                            reply = cluster_.client(node).ListMembers();
                            return reply.ok() && std::all_of(reply->members().begin(),
                                                             reply->members().end(), published);
                          }))
        << reply << reply->DebugString();
    ASSERT_EQ(reply->members_size(), 3);
    for (size_t i = 0; i < cluster_.size(); ++i) {
      const v1::Member& member = reply->members(static_cast<int>(i));
      EXPECT_EQ(member.id(), TestCluster::Id(i));
      EXPECT_EQ(member.name(), TestCluster::Name(i));
      EXPECT_EQ(member.peer_address(), cluster_.peer_address(i));
      EXPECT_EQ(member.client_address(), cluster_.client_address(i));
      EXPECT_EQ(member.role(), v1::MEMBER_ROLE_VOTER);
      EXPECT_EQ(member.is_leader(), i == *leader);
      EXPECT_EQ(member.version(), cluster_.client(i).GetStatus()->version());
    }
  }
}

TEST_F(ClusterTest, EveryMemberReportsItsOwnStatus) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(cluster_.client(0).PutText(absl::StrCat("key", i), "x").ok());
  }
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  const auto first = cluster_.client(0).GetStatus();
  EXPECT_NE(first->header().cluster_id(), 0U);
  for (size_t node = 0; node < cluster_.size(); ++node) {
    const auto status = cluster_.client(node).GetStatus();
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(status->name(), TestCluster::Name(node));
    EXPECT_EQ(status->header().member_id(), TestCluster::Id(node));
    EXPECT_EQ(status->header().leader_id(), TestCluster::Id(*leader));
    EXPECT_EQ(status->header().cluster_id(), first->header().cluster_id());
    EXPECT_EQ(status->header().raft_term(), first->header().raft_term());
    EXPECT_EQ(status->header().revision(), revision_ + 10);
    EXPECT_EQ(status->key_count(), 10);
    EXPECT_EQ(status->raft_state(),
              node == *leader ? v1::RAFT_STATE_LEADER : v1::RAFT_STATE_FOLLOWER);
    EXPECT_EQ(status->role(), v1::MEMBER_ROLE_VOTER);
    EXPECT_LE(status->applied_index(), status->commit_index());
    EXPECT_LE(status->commit_index(), status->last_index());
    EXPECT_GT(status->disk_bytes(), 0);
    EXPECT_EQ(status->warnings_size(), 0) << status->DebugString();
  }
}

TEST_F(ClusterTest, EveryMemberKnowsWhoAnswersIt) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  ASSERT_TRUE(cluster_.client(0).PutText("key", "x").ok());
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  for (size_t node = 0; node < cluster_.size(); ++node) {
    const auto status = cluster_.client(node).GetStatus();
    ASSERT_EQ(status->peers_size(), 2) << status->DebugString();
    for (const v1::PeerStatus& peer : status->peers()) {
      EXPECT_NE(peer.id(), TestCluster::Id(node));
      EXPECT_TRUE(peer.reachable()) << status->DebugString();
      EXPECT_FALSE(peer.has_unreachable_for());
      EXPECT_EQ(peer.match_index(), node == *leader ? status->last_index() : 0);
    }
  }
}

TEST_F(ClusterTest, CallsAreCountedWhereTheyCome) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  NodeClient& follower = cluster_.client(cluster_.Other(*leader));
  // They are told of for 5 s.
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(follower.PutText("key", "x").ok());
    ASSERT_TRUE(follower.GetText("key").ok());
    ASSERT_FALSE(
        follower
            .Put(Proto<v1::PutRequest>(R"(key: "key" text: "y" precondition { version: 7000 })"))
            .ok());
  }
  v1::RequestStats stats;
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] {
    stats = follower.GetStatus()->requests();
    return stats.writes().count() >= 20 && stats.reads().count() >= 20 &&
           stats.failed().count() >= 20;
  })) << stats.DebugString();
  for (const v1::Latency& latency : {stats.writes(), stats.reads(), stats.failed()}) {
    EXPECT_GT(latency.p50().nanos(), 0) << stats.DebugString();
    EXPECT_GE(latency.p99().nanos(), latency.p50().nanos()) << stats.DebugString();
    EXPECT_EQ(latency.p99().seconds(), 0) << stats.DebugString();
  }
  EXPECT_GT(stats.syncs().count(), 0) << "it follows";
  EXPECT_GT(stats.syncs().p99().nanos(), 0);
}

TEST_F(ClusterTest, HealthTellsServingReadyAndLeadingApart) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  for (size_t node = 0; node < cluster_.size(); ++node) {
    NodeClient& client = cluster_.client(node);
    EXPECT_TRUE(client.Healthy(""));
    EXPECT_TRUE(WaitUntil(Millis(5000), [&] {
      return client.Healthy("raftkv.v1.KvService") && client.Healthy("raftkv.v1.ClusterService");
    }));
    EXPECT_TRUE(WaitUntil(Millis(5000), [&] {
      return client.Healthy("raftkv.leader") == (node == *leader);
    })) << TestCluster::Name(node);
  }
}

class StoppedMemberTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(cluster_.StartAll()); }

  TestCluster cluster_;
};

TEST_F(StoppedMemberTest, AMemberThatWasAwayCatchesUp) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  const size_t away = cluster_.Other(*leader);
  cluster_.server(away).Kill9();
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(
        cluster_.client(*leader).PutText(absl::StrCat("key", i), std::string(10'000, 'x')).ok());
  }
  ASSERT_TRUE(cluster_.Start(away));
  ASSERT_TRUE(cluster_.WaitUntilEqual());
  EXPECT_EQ(cluster_.client(away).GetStale("key199")->kv().text().size(), 10'000U);
  EXPECT_EQ(cluster_.WaitForLeader(), leader) << "coming back disturbs nobody";
}

TEST_F(StoppedMemberTest, AMemberThatStopsInOrderExitsWithZeroAndItsCallsEndWell) {
  const std::optional<size_t> leader = cluster_.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  const size_t stopping = cluster_.Other(*leader);
  EXPECT_EQ(cluster_.server(stopping).Stop(), (ExitStatus{.code = 0}));
  ASSERT_TRUE(cluster_.client(*leader).PutText("a", "1").ok());
  ASSERT_TRUE(cluster_.Start(stopping));
  EXPECT_EQ(cluster_.client(stopping).GetText("a")->kv().text(), "1");
  EXPECT_EQ(cluster_.server(*leader).Stop(), (ExitStatus{.code = 0}));
  EXPECT_TRUE(cluster_.client(stopping).PutText("a", "2").ok()) << "one slow call, not an error";
}

TEST(LargeValueClusterTest, TheLargestValueTravelsEveryWay) {
  TestCluster cluster({.size = 3, .flags = {"--value_bytes_max=3145728"}});
  ASSERT_TRUE(cluster.StartAll());
  const std::string value(3 << 20, 'v');
  for (size_t writer = 0; writer < cluster.size(); ++writer) {
    const std::string key = absl::StrCat("by/", writer);
    const auto put = cluster.client(writer).PutText(key, value);
    ASSERT_TRUE(put.ok()) << TestCluster::Name(writer) << ": " << put;
    for (size_t reader = 0; reader < cluster.size(); ++reader) {
      EXPECT_EQ(cluster.client(reader).GetText(key)->kv().text(), value);
    }
  }
}

TEST(ClusterFoundingTest, NobodyServesBeforeAllFoundersAreThere) {
  TestCluster cluster;
  for (const size_t node : {0U, 1U}) {
    ASSERT_TRUE(cluster.Start(node));
  }
  // Both say whom they wait for, and two of three found nothing, however long they have been
  // together.
  ASSERT_TRUE(WaitUntil(Millis(10000),
                        [&] { return cluster.server(0).Log().find("n3") != std::string::npos; }));
  const auto refused = cluster.client(0).PutText("a", "1", Millis(2500));
  EXPECT_FALSE(refused.ok());
  EXPECT_TRUE(refused.reason == "NO_LEADER" ||
              refused.status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED)
      << refused;
  for (const size_t node : {0U, 1U}) {
    EXPECT_EQ(cluster.client(node).GetStatus()->header().cluster_id(), 0U);
    EXPECT_TRUE(cluster.client(node).Healthy(""));
    EXPECT_FALSE(cluster.client(node).Healthy("raftkv.v1.KvService"));
  }
  ASSERT_TRUE(cluster.StartAll());
  EXPECT_TRUE(cluster.client(2).PutText("a", "2").ok());
  EXPECT_NE(cluster.client(0).GetStatus()->header().cluster_id(), 0U);
}

TEST(ClusterFoundingTest, AFounderKilledWhileFoundingJoinsAfterItsRestart) {
  TestCluster cluster;
  ASSERT_TRUE(cluster.Start(0));
  ASSERT_TRUE(cluster.Start(1));
  cluster.server(1).Kill9();
  ASSERT_TRUE(cluster.StartAll());
  for (size_t node = 0; node < cluster.size(); ++node) {
    EXPECT_TRUE(cluster.client(node).PutText("a", "1").ok());
  }
}

TEST(SmallClusterTest, TwoMembersWorkWhileBothAreUp) {
  TestCluster cluster({.size = 2, .flags = {}});
  ASSERT_TRUE(cluster.StartAll());
  ASSERT_TRUE(cluster.client(0).PutText("a", "1").ok());
  cluster.server(1).Kill9();
  EXPECT_FALSE(cluster.client(0).PutText("a", "2", Millis(1500)).ok());
  ASSERT_TRUE(cluster.StartAll());
  EXPECT_TRUE(cluster.client(1).PutText("a", "3").ok());
}

TEST(LargeClusterTest, FiveMembersSurviveTheLossOfTwo) {
  TestCluster cluster({.size = 5, .flags = {}});
  ASSERT_TRUE(cluster.StartAll());
  ASSERT_TRUE(cluster.client(4).PutText("a", "1").ok());
  for (int losses = 0; losses < 2; ++losses) {
    const std::optional<size_t> leader = cluster.WaitForLeader();
    ASSERT_TRUE(leader.has_value());
    cluster.server(*leader).Kill9();
  }
  const std::optional<size_t> leader = cluster.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  EXPECT_EQ(cluster.client(*leader).GetText("a")->kv().text(), "1");
  EXPECT_TRUE(cluster.client(*leader).PutText("a", "2").ok());
}

}  // namespace
}  // namespace raftkv::integration
