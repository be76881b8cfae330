// Members that prove to each other that their states are equal, and what becomes of one whose state
// is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "raft/runtime/raft_driver.h"
#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// An audit, and the one after it.
constexpr uint64_t kFoundWithin = 3 * kSecond;

DriverClusterOptions Options(uint64_t members = 3) {
  DriverClusterOptions options;
  options.members = members;
  options.states_may_differ = true;
  return options;
}

class DriverAuditTest : public testing::Test {
 protected:
  explicit DriverAuditTest(const DriverClusterOptions& options = Options()) : cluster_(options) {
    leader_ = cluster_.AwaitLeader();
    follower_ = cluster_.Others(leader_).front();
    other_ = cluster_.Others(leader_).back();
    cluster_.ProposeMany(leader_, 5);
    cluster_.Settle();
  }

  void Bend(NodeId node, const std::string& with = "bent") { cluster_.machine(node).Bend(with); }
  const std::vector<std::string>& Findings(NodeId node) { return cluster_.audit_findings(node); }
  // Whether a proposal gets through.
  bool Serves(NodeId node) {
    const auto probe = cluster_.Propose(node, "alive");
    return cluster_.TickUntil([&] { return probe->result.has_value(); }) &&
           probe->result == ProposalResult::kApplied;
  }
  // Entries that heartbeats of `leader` asked about since ForgetSent.
  std::set<LogIndex> Asked(NodeId leader) {
    std::set<LogIndex> asked;
    for (const FakeTransport::SentMessage& sent : cluster_.sent(leader)) {
      if (const auto* heartbeat = std::get_if<Heartbeat>(&sent.envelope.message);
          heartbeat != nullptr && heartbeat->news.audited != LogIndex(0)) {
        asked.insert(heartbeat->news.audited);
      }
    }
    return asked;
  }

  DriverCluster cluster_;
  NodeId leader_;
  NodeId follower_;
  NodeId other_;
};

TEST_F(DriverAuditTest, EqualMembersAreAskedAndNothingIsFound) {
  cluster_.ForgetSent();
  for (int i = 0; i < 5; ++i) {
    cluster_.Propose(leader_, absl::StrCat("d", i));
    cluster_.Tick(kSecond);
  }
  EXPECT_GE(Asked(leader_).size(), 4u);
  for (const NodeId node : cluster_.nodes()) {
    EXPECT_THAT(Findings(node), IsEmpty());
  }
  EXPECT_EQ(cluster_.driver(leader_).Status().disagreement, LogIndex(0));
}

TEST_F(DriverAuditTest, AFollowerThatDiffersStopsAndTheOthersGoOn) {
  cluster_.Tick(2 * kSecond);
  Bend(follower_);
  ASSERT_TRUE(cluster_.TickUntil([&] { return cluster_.has_stopped(follower_); }, kFoundWithin));
  const LogIndex index = cluster_.machine(leader_).applied().index;
  EXPECT_THAT(Findings(follower_), ElementsAre(absl::StrCat("differs at ", index.value())));
  EXPECT_THAT(Findings(leader_),
              ElementsAre(absl::StrCat("node ", follower_.value(), " differs at ", index.value())));
  EXPECT_TRUE(Serves(leader_));
  cluster_.Tick(10 * kSecond);
  EXPECT_THAT(Findings(other_), IsEmpty());
  EXPECT_FALSE(cluster_.has_stopped(leader_));
}

TEST_F(DriverAuditTest, ALeaderThatDiffersLeadsNoMoreAndStops) {
  cluster_.Tick(2 * kSecond);
  const Term term = cluster_.driver(leader_).core().term();
  Bend(leader_);
  ASSERT_TRUE(cluster_.TickUntil([&] { return cluster_.has_stopped(leader_); }, kFoundWithin));
  EXPECT_THAT(Findings(leader_), ElementsAre(StartsWith("differs at ")));
  EXPECT_EQ(cluster_.driver(leader_).core().role(), RaftRole::kFollower);
  EXPECT_NE(cluster_.AwaitLeader(), leader_);
  EXPECT_GT(cluster_.driver(other_).core().term(), term);
  EXPECT_TRUE(Serves(follower_));
  EXPECT_THAT(Findings(follower_), IsEmpty());
  EXPECT_THAT(Findings(other_), IsEmpty());
}

// Whoever owns the driver may take a moment.
TEST_F(DriverAuditTest, WhoDiffersDoesNothingAnyMoreButAnswerInShutdown) {
  cluster_.Tick(2 * kSecond);
  RaftDriver& driver = cluster_.driver(leader_);
  const auto proposal = cluster_.Propose(leader_, "late");
  const auto read = cluster_.Read(leader_);
  const LogIndex commit = driver.core().commit_index();
  // As an audit of a later leader would say.
  const NodeId successor = follower_;
  const Term term = driver.core().term().Next();
  Heartbeat verdict{.commit_index = commit, .round = RoundId(1)};
  verdict.news.differs_at = cluster_.machine(leader_).applied().index;
  const auto say = [&](Message message) {
    EXPECT_TRUE(
        driver.Take({.from = successor, .to = leader_, .term = term, .message = message}).ok());
  };
  say(verdict);
  ASSERT_THAT(Findings(leader_), ElementsAre(StartsWith("differs at ")));
  cluster_.transport(leader_).TakeMessages();
  say(verdict);
  say(VoteRequest{.pre_vote = true, .last_entry = driver.core().last_entry()});
  for (uint64_t tick = 0; tick < 10 * kSecond; ++tick) {
    cluster_.clock().Advance(DriverCluster::kTickNanos);
    driver.Tick();
    EXPECT_FALSE(driver.RunTurn());
  }
  EXPECT_THAT(cluster_.transport(leader_).TakeMessages(), IsEmpty());
  EXPECT_EQ(driver.core().role(), RaftRole::kFollower);
  EXPECT_EQ(driver.core().term(), term);
  EXPECT_EQ(driver.core().commit_index(), commit);
  EXPECT_EQ(Findings(leader_).size(), 1u) << "told once";
  EXPECT_FALSE(proposal->result.has_value());
  driver.Shutdown();
  EXPECT_EQ(read->result, ReadResult::kShuttingDown);
  EXPECT_NE(proposal->result, ProposalResult::kApplied);
  EXPECT_TRUE(proposal->result.has_value());
}

// What an earlier leader said may be of an earlier state of things.
TEST_F(DriverAuditTest, AVerdictOfAnOldTermIsNotHeard) {
  cluster_.Tick(kSecond);
  Heartbeat verdict{.commit_index = LogIndex(0), .round = RoundId(0)};
  verdict.news.differs_at = cluster_.machine(follower_).applied().index;
  const Term old = cluster_.driver(follower_).core().term().Previous();
  ASSERT_TRUE(cluster_.driver(follower_)
                  .Take({.from = other_, .to = follower_, .term = old, .message = verdict})
                  .ok());
  cluster_.Tick();
  EXPECT_THAT(Findings(follower_), IsEmpty());
}

// As it is of a state that is gone.
TEST_F(DriverAuditTest, AVerdictOnAStateThatASnapshotReplacedIsNotHeard) {
  RaftDriver& driver = cluster_.driver(follower_);
  const Term term = driver.core().term();
  const auto say = [&](const ClusterNews& news) {
    const Heartbeat heartbeat{
        .commit_index = LogIndex(0), .round = RoundId(1), .held_by_all = LogIndex(0), .news = news};
    EXPECT_TRUE(
        driver.Take({.from = leader_, .to = follower_, .term = term, .message = heartbeat}).ok());
  };
  const LogIndex index = cluster_.machine(follower_).applied().index;
  Bend(follower_);
  say({.low_on_disk = {}, .audited = index, .differs_at = LogIndex(0), .right_hash = 0});
  driver.RunTurn();
  cluster_.transport(follower_).TakeMessages();
  // The others go on meanwhile.
  cluster_.SetHold([&](NodeId, NodeId to, Traffic) { return to == follower_; });
  ASSERT_TRUE(Serves(leader_));
  const std::unique_ptr<SnapshotReader> reader = cluster_.machine(leader_).TakeSnapshot();
  std::optional<absl::Status> installed;
  driver.InstallSnapshot(term,
                         std::make_shared<RecordedSnapshot>(RecordedState{
                             .meta = {.point = reader->point(),
                                      .configuration = cluster_.machine(leader_).configuration()},
                             .commands = cluster_.machine(leader_).commands()}),
                         [&](const absl::Status& status) { installed = status; });
  cluster_.Settle();
  ASSERT_EQ(installed, absl::OkStatus());
  say({.low_on_disk = {}, .audited = LogIndex(0), .differs_at = index, .right_hash = 1});
  EXPECT_THAT(Findings(follower_), IsEmpty());
  cluster_.SetHold(nullptr);
  cluster_.Tick(kFoundWithin);
  EXPECT_FALSE(cluster_.has_stopped(follower_));
}

// It had been wrong before it started again, and the question is older than that.
TEST_F(DriverAuditTest, AVerdictOnAStateThatIsRightByNowIsNotHeard) {
  cluster_.Tick(kSecond);
  const LogIndex index = cluster_.machine(follower_).applied().index;
  Heartbeat verdict{.commit_index = LogIndex(0), .round = RoundId(0)};
  verdict.news.differs_at = index;
  verdict.news.right_hash = *cluster_.machine(follower_).StateHash(index);
  const Term term = cluster_.driver(follower_).core().term();
  ASSERT_TRUE(cluster_.driver(follower_)
                  .Take({.from = leader_, .to = follower_, .term = term, .message = verdict})
                  .ok());
  cluster_.Tick();
  EXPECT_THAT(Findings(follower_), IsEmpty());
}

TEST_F(DriverAuditTest, AVerdictOnAStateOfWhichNothingIsKnownIsNotHeard) {
  cluster_.Tick(kSecond);
  Heartbeat verdict{.commit_index = LogIndex(0), .round = RoundId(0)};
  verdict.news.differs_at = cluster_.machine(follower_).applied().index.Next();
  const Term term = cluster_.driver(follower_).core().term();
  ASSERT_TRUE(cluster_.driver(follower_)
                  .Take({.from = leader_, .to = follower_, .term = term, .message = verdict})
                  .ok());
  cluster_.Tick();
  EXPECT_THAT(Findings(follower_), IsEmpty());
}

// Until the verdict comes, more may be applied than a state machine remembers.
TEST_F(DriverAuditTest, AnAnswerIsRememberedLongerThanItsState) {
  cluster_.Tick(2 * kSecond);
  RaftDriver& driver = cluster_.driver(follower_);
  const LogIndex index = cluster_.machine(follower_).applied().index;
  const auto say = [&](const ClusterNews& news) {
    EXPECT_TRUE(driver
                    .Take({.from = leader_,
                           .to = follower_,
                           .term = driver.core().term(),
                           .message = Heartbeat{.commit_index = LogIndex(0),
                                                .round = RoundId(1),
                                                .held_by_all = LogIndex(0),
                                                .news = news}})
                    .ok());
  };
  say({.low_on_disk = {}, .audited = index, .differs_at = LogIndex(0), .right_hash = 0});
  driver.RunTurn();
  const std::vector<FakeTransport::SentMessage> replies =
      cluster_.transport(follower_).TakeMessages();
  ASSERT_EQ(replies.size(), 1u);
  const MemberNews& answer = std::get<HeartbeatReply>(replies[0].envelope.message).news;
  EXPECT_EQ(answer.audited, index);
  EXPECT_EQ(answer.state_hash, cluster_.machine(leader_).StateHash(index));
  ASSERT_TRUE(Serves(leader_));
  cluster_.machine(follower_).ForgetHashes();
  ASSERT_EQ(cluster_.machine(follower_).StateHash(index), std::nullopt);
  say({.low_on_disk = {}, .audited = LogIndex(0), .differs_at = index, .right_hash = 1});
  EXPECT_THAT(Findings(follower_), ElementsAre(absl::StrCat("differs at ", index.value())));
}

// Nothing is written meanwhile, so the log tells of no difference.
TEST_F(DriverAuditTest, AMemberThatComesBackDifferentIntoAQuietClusterIsFound) {
  cluster_.Tick(5 * kSecond);
  Bend(follower_);
  cluster_.Restart(follower_);
  EXPECT_TRUE(cluster_.TickUntil([&] { return cluster_.has_stopped(follower_); }, kFoundWithin));
  cluster_.Restart(follower_);
  EXPECT_TRUE(cluster_.TickUntil([&] { return cluster_.has_stopped(follower_); }, kFoundWithin))
      << "it still differs";
}

TEST_F(DriverAuditTest, AMemberThatWasAwayIsAuditedOnceItIsBack) {
  cluster_.Isolate(follower_);
  Bend(follower_);
  for (int i = 0; i < 20; ++i) {
    cluster_.Propose(leader_, absl::StrCat("d", i));
    cluster_.Tick(kSecond / 2);
  }
  EXPECT_FALSE(cluster_.has_stopped(follower_));
  cluster_.Heal();
  EXPECT_TRUE(cluster_.TickUntil([&] { return cluster_.has_stopped(follower_); }, 6 * kSecond));
}

TEST_F(DriverAuditTest, TheNextLeaderAuditsToo) {
  cluster_.Isolate(leader_);
  Bend(leader_);
  const NodeId next = cluster_.AwaitLeader();
  cluster_.Heal();
  ASSERT_TRUE(cluster_.TickUntil([&] { return cluster_.has_stopped(leader_); }, 6 * kSecond));
  EXPECT_THAT(Findings(next), Contains(StartsWith(absl::StrCat("node ", leader_.value()))));
}

TEST_F(DriverAuditTest, WithoutAMajorityThereIsAnAlarmAndNobodyStops) {
  Bend(follower_, "one way");
  Bend(other_, "another");
  cluster_.Tick(kFoundWithin);
  EXPECT_THAT(Findings(leader_), ElementsAre(StartsWith("no quorum agrees at ")));
  EXPECT_NE(cluster_.driver(leader_).Status().disagreement, LogIndex(0));
  cluster_.Tick(10 * kSecond);
  EXPECT_EQ(Findings(leader_).size(), 1u) << "told once";
  for (const NodeId node : cluster_.nodes()) {
    EXPECT_FALSE(cluster_.has_stopped(node));
  }
  EXPECT_TRUE(Serves(leader_));
}

// Each driver is told, so that its owner can let it end without harm.
TEST_F(DriverAuditTest, ARetiredLeaderStepsDownAndLeadsNoMore) {
  cluster_.driver(leader_).Retire();
  EXPECT_EQ(cluster_.driver(leader_).core().role(), RaftRole::kFollower);
  EXPECT_NE(cluster_.AwaitLeader(), leader_);
  cluster_.Isolate(leader_);
  cluster_.Tick(20 * kSecond);
  EXPECT_EQ(cluster_.driver(leader_).core().role(), RaftRole::kFollower);
  cluster_.Heal();
  EXPECT_TRUE(Serves(leader_)) << "by the one that leads";
}

class FiveDriversAuditTest : public DriverAuditTest {
 protected:
  FiveDriversAuditTest() : DriverAuditTest(Options(5)) {}
};

TEST_F(FiveDriversAuditTest, ALeaderAndAFollowerThatDifferBothStop) {
  Bend(leader_, "one way");
  Bend(follower_, "another");
  const auto both = [&] {
    return cluster_.has_stopped(leader_) && cluster_.has_stopped(follower_);
  };
  ASSERT_TRUE(cluster_.TickUntil(both, 10 * kSecond));
  EXPECT_TRUE(Serves(other_));
}

}  // namespace
}  // namespace raftkv::raft
