// Members that were away for longer than the log reaches back, and logs that are trimmed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "raft/runtime/raft_driver.h"
#include "tests/support/driver_cluster.h"

namespace raftkv::raft {
namespace {

using ::testing::IsEmpty;

constexpr uint64_t kElectionTicks = 10;

// The log of a member takes about 90 entries of the test's commands.
DriverClusterOptions SmallLogs(uint64_t members = 3) {
  DriverClusterOptions options;
  options.members = members;
  options.log_memory_bytes_max = 1000;
  options.driver.log_entries_kept = 16;
  options.driver.log_bytes_max = 10'000;
  options.driver.leader_wait = 60 * kNanosPerSecond;
  return options;
}

class DriverSnapshotTest : public testing::Test {
 protected:
  explicit DriverSnapshotTest(const DriverClusterOptions& options = SmallLogs())
      : cluster_(options) {
    leader_ = cluster_.AwaitLeader();
    absent_ = cluster_.Others(leader_).front();
    other_ = cluster_.Others(leader_).back();
  }

  // One command and one entry in each tick.
  void Load(uint64_t ticks) {
    for (uint64_t i = 0; i < ticks; ++i) {
      cluster_.Propose(leader_, absl::StrCat("command ", ++commands_, std::string(20, '.')));
      cluster_.Tick();
    }
  }
  // Brings a member so far behind that it needs a snapshot.
  void LeaveBehind(NodeId node, uint64_t ticks = 3 * kSecond) {
    const LogIndex last = cluster_.machine(node).applied().index;
    cluster_.Isolate(node);
    Load(ticks);
    ASSERT_GT(cluster_.store(leader_).previous().index, last);
  }
  void HoldSnapshots(bool hold) {
    if (hold) {
      cluster_.SetHold([](NodeId, NodeId, Traffic kind) { return kind == Traffic::kSnapshot; });
    } else {
      cluster_.SetHold(nullptr);
    }
  }
  bool IsCaughtUp(NodeId node) {
    return cluster_.machine(node).commands() == cluster_.machine(leader_).commands();
  }
  // A snapshot of the leader's state as of now, as if it had come to a member.
  std::shared_ptr<RecordedSnapshot> TakeSnapshot() {
    const std::unique_ptr<SnapshotReader> reader = cluster_.machine(leader_).TakeSnapshot();
    return std::make_shared<RecordedSnapshot>(
        RecordedState{.meta = {.point = reader->point(),
                               .configuration = cluster_.machine(leader_).configuration()},
                      .commands = cluster_.machine(leader_).commands()});
  }
  // Offers it as the leader of `term`; the answer comes where the result points to.
  std::shared_ptr<std::optional<absl::Status>> Install(NodeId node, Term term,
                                                       std::shared_ptr<StagedSnapshot> snapshot) {
    auto answer = std::make_shared<std::optional<absl::Status>>();
    cluster_.driver(node).InstallSnapshot(
        term, std::move(snapshot), [answer](const absl::Status& status) { *answer = status; });
    return answer;
  }
  Term term() { return cluster_.driver(leader_).core().term(); }
  absl::StatusCode Check(NodeId from, Term term, const SnapshotPoint& point) {
    return cluster_.driver(absent_).CheckSnapshot(from, term, point).code();
  }
  // The largest match index that `node` promised to anybody since ForgetSent.
  LogIndex Promised(NodeId node) {
    LogIndex promised;
    for (const FakeTransport::SentMessage& sent : cluster_.sent(node)) {
      if (const auto* accepted = std::get_if<AppendAccepted>(&sent.envelope.message)) {
        promised = std::max(promised, accepted->match_index);
      }
    }
    return promised;
  }

  DriverCluster cluster_;
  NodeId leader_;
  NodeId absent_;
  NodeId other_;
  uint64_t commands_ = 0;
};

TEST_F(DriverSnapshotTest, ALongAbsentMemberIsBroughtBackUnderLoad) {
  LeaveBehind(absent_);
  cluster_.Heal();
  Load(kSecond);
  EXPECT_TRUE(IsCaughtUp(absent_));
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 1u);
  EXPECT_THAT(cluster_.tally(leader_).snapshots_sent,
              testing::ElementsAre(testing::Pair(absent_, true)));
  EXPECT_EQ(cluster_.machine(absent_).snapshots_adopted(), 1u);
  EXPECT_EQ(cluster_.machine(absent_).applied(), cluster_.machine(leader_).applied());
  EXPECT_EQ(cluster_.driver(absent_).ReadClusterClock().term, term());
  EXPECT_EQ(cluster_.driver(absent_).core().configuration().voters.size(), 3u);
  // It can lead the others from there.
  cluster_.Isolate(leader_);
  leader_ = cluster_.AwaitLeader();
  Load(10);
  EXPECT_TRUE(IsCaughtUp(leader_ == absent_ ? other_ : absent_));
}

TEST_F(DriverSnapshotTest, ItStartsAgainFromTheSnapshot) {
  LeaveBehind(absent_);
  cluster_.Heal();
  ASSERT_TRUE(cluster_.TickUntil([&] { return IsCaughtUp(absent_); }));
  cluster_.Restart(absent_);
  Load(10);
  EXPECT_TRUE(IsCaughtUp(absent_));
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 1u);
}

TEST_F(DriverSnapshotTest, WhatAllHoldIsForgottenByAllIdleOrNot) {
  Load(60);
  ASSERT_TRUE(cluster_.TickUntil([&] { return IsCaughtUp(absent_) && IsCaughtUp(other_); }));
  cluster_.Tick(2 * kSecond);
  for (const NodeId node : cluster_.nodes()) {
    EXPECT_EQ(cluster_.store(node).entries().size(), 16u) << node;
  }
  Load(10);
  EXPECT_TRUE(IsCaughtUp(absent_) && IsCaughtUp(other_));
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 0u);
}

TEST_F(DriverSnapshotTest, AShortAbsenceNeedsNoSnapshot) {
  cluster_.Tick(kSecond);
  cluster_.Isolate(absent_);
  Load(60);
  cluster_.Tick(2 * kSecond);
  EXPECT_GE(cluster_.store(leader_).entries().size(), 60u);
  EXPECT_GE(cluster_.store(other_).entries().size(), 60u) << "it may have to lead the absent one";
  cluster_.Heal();
  ASSERT_TRUE(cluster_.TickUntil([&] { return IsCaughtUp(absent_); }));
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 0u);
}

TEST_F(DriverSnapshotTest, ALogTakesNoMoreThanItMayWhoeverIsAway) {
  cluster_.Isolate(absent_);
  Load(5 * kSecond);
  for (const NodeId node : {leader_, other_}) {
    uint64_t bytes = 0;
    for (const Entry& entry : cluster_.store(node).entries()) {
      bytes += entry.size_bytes();
    }
    EXPECT_LE(bytes, 22'000u) << "what comes in a second is on top";
    EXPECT_GE(bytes, 9'000u);
  }
}

// What is written while the snapshot is under way is more than the log may take, and the follower
// catches up only a little faster than the load goes on.
TEST_F(DriverSnapshotTest, AFollowerThatIsAlwaysALittleBehindDoesNotLoop) {
  LeaveBehind(absent_);
  HoldSnapshots(true);
  cluster_.Heal();
  Load(160);
  ASSERT_EQ(cluster_.snapshots_begun(leader_), 1u);
  LogIndex may_have;
  cluster_.SetHold([&](NodeId from, NodeId to, Traffic kind) {
    return from == leader_ && to == absent_ && kind == Traffic::kRaft &&
           cluster_.driver(absent_).core().last_entry().index >= may_have;
  });
  cluster_.Tick();
  may_have = cluster_.machine(absent_).applied().index;
  EXPECT_EQ(cluster_.machine(absent_).snapshots_adopted(), 1u);
  uint64_t ticks_behind = 0;
  while (ticks_behind < 10 * kSecond && !IsCaughtUp(absent_)) {
    may_have = may_have + 2;
    Load(1);
    ++ticks_behind;
  }
  EXPECT_TRUE(IsCaughtUp(absent_));
  EXPECT_GT(ticks_behind, kSecond) << "the log was not trimmed meanwhile";
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 1u);
  EXPECT_THAT(cluster_.outrun(leader_), IsEmpty());
  // Then it is as any other.
  cluster_.SetHold(nullptr);
  Load(2 * kSecond);
  EXPECT_LT(cluster_.store(leader_).entries().size(), 120u);
}

TEST_F(DriverSnapshotTest, OneThatTheLogOutrunsStartsOver) {
  LeaveBehind(absent_);
  HoldSnapshots(true);
  cluster_.Heal();
  Load(150);
  EXPECT_THAT(cluster_.outrun(leader_), IsEmpty());
  Load(150);
  EXPECT_EQ(cluster_.outrun(leader_).size(), 1u);
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 2u);
  HoldSnapshots(false);
  Load(kSecond);
  EXPECT_TRUE(IsCaughtUp(absent_));
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 2u);
  EXPECT_EQ(cluster_.machine(absent_).snapshots_adopted(), 1u);
}

TEST_F(DriverSnapshotTest, ALostStreamBeginsNoSecondOne) {
  LeaveBehind(absent_);
  HoldSnapshots(true);
  cluster_.Heal();
  Load(20);
  ASSERT_EQ(cluster_.snapshots_begun(leader_), 1u);
  for (int i = 0; i < 5; ++i) {
    cluster_.driver(leader_).OnStreamLost(absent_);
    Load(5);
  }
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 1u);
  HoldSnapshots(false);
  Load(kSecond);
  EXPECT_TRUE(IsCaughtUp(absent_));
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 1u);
}

// The follower has installed it, and what it answered was lost with two streams in a row.
TEST_F(DriverSnapshotTest, TwoStreamsLostAfterAnInstallBeginNoSecondOne) {
  LeaveBehind(absent_);
  cluster_.Heal();
  cluster_.SetHold([this](NodeId from, NodeId, Traffic kind) {
    return kind == Traffic::kRaft && from == absent_ &&
           cluster_.machine(absent_).snapshots_adopted() > 0;
  });
  ASSERT_TRUE(cluster_.TickUntil([&] { return cluster_.machine(absent_).snapshots_adopted() > 0; },
                                 kElectionTicks));
  cluster_.Settle();  // The leader hears that it was taken.
  ASSERT_EQ(cluster_.snapshots_under_way(), 0u);
  for (int i = 0; i < 2; ++i) {
    cluster_.driver(leader_).OnStreamLost(absent_);
    cluster_.Settle();
  }
  cluster_.SetHold(nullptr);
  cluster_.Tick(2 * kSecond);
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 1u);
  Load(1);
  EXPECT_TRUE(IsCaughtUp(absent_));
}

TEST_F(DriverSnapshotTest, NoneIsBegunToWhoIsNotThere) {
  LeaveBehind(absent_);
  // The stream that was opened into the cut.
  cluster_.driver(leader_).OnStreamLost(absent_);
  cluster_.Tick(5 * kSecond);
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 0u);
  cluster_.Heal();
  cluster_.Tick(10);
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 1u);
  EXPECT_TRUE(IsCaughtUp(absent_));
}

TEST_F(DriverSnapshotTest, OneThatFailedIsBegunAgainAfterAWhile) {
  LeaveBehind(absent_);
  HoldSnapshots(true);
  cluster_.Heal();
  cluster_.Tick(10);
  ASSERT_EQ(cluster_.snapshots_begun(leader_), 1u);
  cluster_.Isolate(absent_);
  cluster_.Tick();
  cluster_.Heal();
  HoldSnapshots(false);
  cluster_.Tick(95);
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 1u);
  cluster_.Tick(10);
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 2u);
  EXPECT_TRUE(IsCaughtUp(absent_));
}

TEST_F(DriverSnapshotTest, WhoStopsLeadingStopsItsSnapshots) {
  LeaveBehind(absent_);
  HoldSnapshots(true);
  cluster_.Heal();
  cluster_.Tick(10);
  ASSERT_EQ(cluster_.snapshots_under_way(), 1u);
  cluster_.driver(leader_).Shutdown();
  cluster_.Settle();
  EXPECT_EQ(cluster_.snapshots_under_way(), 0u);
}

TEST_F(DriverSnapshotTest, ANewLeaderBringsItsOwn) {
  LeaveBehind(absent_);
  HoldSnapshots(true);
  cluster_.Heal();
  cluster_.Tick(10);
  ASSERT_EQ(cluster_.snapshots_begun(leader_), 1u);
  // Its messages are lost, but not what the others say to it.
  const NodeId old_leader = leader_;
  cluster_.SetHold([old_leader](NodeId from, NodeId, Traffic kind) {
    return kind == Traffic::kSnapshot || from == old_leader;
  });
  ASSERT_TRUE(cluster_.TickUntil(
      [&] { return cluster_.driver(other_).core().role() == RaftRole::kLeader; }));
  leader_ = other_;
  ASSERT_TRUE(cluster_.TickUntil([&] { return cluster_.snapshots_begun(other_) == 1; }));
  EXPECT_NE(cluster_.driver(old_leader).core().role(), RaftRole::kLeader);
  EXPECT_EQ(cluster_.snapshots_under_way(), 1u) << "the old leader's is stopped";
  cluster_.SetHold(nullptr);
  Load(kSecond);
  EXPECT_TRUE(IsCaughtUp(absent_));
}

class OneAtATimeTest : public DriverSnapshotTest {
 protected:
  OneAtATimeTest() : DriverSnapshotTest(Options()) {}
  static DriverClusterOptions Options() {
    DriverClusterOptions options = SmallLogs(5);
    options.driver.snapshots_max = 1;
    return options;
  }
};

TEST_F(OneAtATimeTest, AnotherFollowerWaitsUntilTheFirstHasItsOwn) {
  const NodeId first = cluster_.Others(leader_)[0];
  const NodeId second = cluster_.Others(leader_)[1];
  cluster_.Isolate(second);
  LeaveBehind(first);
  HoldSnapshots(true);
  cluster_.Heal();
  cluster_.Tick(10);
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 1u);
  EXPECT_EQ(cluster_.snapshots_under_way(), 1u);
  HoldSnapshots(false);
  cluster_.Tick(10);
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 2u);
  EXPECT_TRUE(IsCaughtUp(first));
  EXPECT_TRUE(IsCaughtUp(second));
}

TEST_F(OneAtATimeTest, WhoFallsSilentOnTheWayMakesRoomForAnother) {
  const NodeId first = cluster_.Others(leader_)[0];
  const NodeId second = cluster_.Others(leader_)[1];
  cluster_.Isolate(second);
  LeaveBehind(first);
  HoldSnapshots(true);
  cluster_.Heal();
  cluster_.Tick(5);
  ASSERT_EQ(cluster_.snapshots_under_way(), 1u);
  const NodeId silent = cluster_.snapshot_under_way_to(first) ? first : second;
  const NodeId next = silent == first ? second : first;
  cluster_.SetHold(
      [silent](NodeId from, NodeId to, Traffic) { return from == silent || to == silent; });
  cluster_.Tick(FollowerProgress::kLostElectionTimeouts * kElectionTicks / 2);
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 1u) << "a pause costs what was brought so far";
  cluster_.Tick(FollowerProgress::kLostElectionTimeouts * kElectionTicks);
  EXPECT_TRUE(IsCaughtUp(next));
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 2u);
  EXPECT_EQ(cluster_.snapshots_under_way(), 0u);
  cluster_.SetHold(nullptr);
  cluster_.Tick(kSecond);
  EXPECT_TRUE(IsCaughtUp(silent)) << "its turn comes when it is back";
}

TEST_F(DriverSnapshotTest, WhatIsOfNoUseIsToldApart) {
  Load(10);
  const std::shared_ptr<RecordedSnapshot> old = TakeSnapshot();
  const SnapshotPoint old_point = old->meta().point;
  ASSERT_TRUE(cluster_.TickUntil([&] { return IsCaughtUp(absent_); }));
  cluster_.Isolate(absent_);
  Load(10);
  const std::shared_ptr<RecordedSnapshot> snapshot = TakeSnapshot();
  const SnapshotPoint point = snapshot->meta().point;
  const Term now = cluster_.driver(absent_).core().term();

  EXPECT_EQ(Check(leader_, now, point), absl::StatusCode::kOk);
  EXPECT_EQ(Check(leader_, now, old_point), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(Check(other_, now, point), absl::StatusCode::kFailedPrecondition)
      << "another leads the term";
  EXPECT_EQ(Check(leader_, Term(now.value() + 1), point), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Check(leader_, now, {.last = {.term = now.Next(), .index = LogIndex(99)}, .stamp = {}}),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Check(leader_, now, {.last = {.term = now, .index = LogIndex(0)}, .stamp = {}}),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(
      Check(leader_, now, {.last = {.term = now, .index = LogIndex(kNumberMax + 1)}, .stamp = {}}),
      absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Check(leader_, now, {.last = {.term = Term(0), .index = LogIndex(99)}, .stamp = {}}),
            absl::StatusCode::kInvalidArgument);

  const std::vector<Entry> log_before = cluster_.store(absent_).entries();
  const EntryId applied_before = cluster_.machine(absent_).applied();
  EXPECT_EQ((*Install(absent_, now, old))->code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ((*Install(absent_, Term(now.value() + 1), snapshot))->code(),
            absl::StatusCode::kFailedPrecondition);
  const auto of_nobody = std::make_shared<RecordedSnapshot>(
      RecordedState{.meta = {.point = point, .configuration = {}}, .commands = {}});
  EXPECT_EQ((*Install(absent_, now, of_nobody))->code(), absl::StatusCode::kInvalidArgument);
  cluster_.Settle();
  EXPECT_EQ(cluster_.machine(absent_).applied(), applied_before);
  EXPECT_EQ(cluster_.store(absent_).entries().size(), log_before.size());
  EXPECT_EQ(cluster_.machine(absent_).snapshots_adopted(), 0u);

  const auto answer = Install(absent_, now, snapshot);
  EXPECT_EQ(Check(leader_, now, point), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ((*Install(absent_, now, snapshot))->code(), absl::StatusCode::kResourceExhausted);
  cluster_.Settle();
  EXPECT_TRUE(answer->value().ok());
  EXPECT_EQ((*Install(absent_, now, snapshot))->code(), absl::StatusCode::kAlreadyExists)
      << "twice is as once";
  cluster_.driver(absent_).Shutdown();
  EXPECT_EQ(Check(leader_, now, point), absl::StatusCode::kUnavailable);
}

// Between the end of the staging and the turn, the term may end.
TEST_F(DriverSnapshotTest, OneOfATermThatIsOverChangesNothing) {
  cluster_.Isolate(absent_);
  Load(10);
  const EntryId applied = cluster_.machine(absent_).applied();
  const Term now = cluster_.driver(absent_).core().term();
  const auto answer = Install(absent_, now, TakeSnapshot());
  ASSERT_TRUE(cluster_.driver(absent_)
                  .Take({.from = other_,
                         .to = absent_,
                         .term = now.Next(),
                         .message = Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)}})
                  .ok());
  cluster_.Settle();
  EXPECT_EQ(answer->value().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(cluster_.machine(absent_).applied(), applied);
}

// Whoever hears that its snapshot is refused may offer another at once.
TEST_F(DriverSnapshotTest, OneThatIsOfferedWithinATurnIsTakenInTheSameTurn) {
  cluster_.Isolate(absent_);
  Load(10);
  const Term now = cluster_.driver(absent_).core().term();
  std::shared_ptr<std::optional<absl::Status>> second;
  cluster_.driver(absent_).InstallSnapshot(now, TakeSnapshot(), [&](const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    second = Install(absent_, now.Next(), TakeSnapshot());
  });
  ASSERT_TRUE(cluster_.driver(absent_)
                  .Take({.from = other_,
                         .to = absent_,
                         .term = now.Next(),
                         .message = Heartbeat{.commit_index = LogIndex(0), .round = RoundId(0)}})
                  .ok());
  cluster_.driver(absent_).RunTurn();
  ASSERT_NE(second, nullptr);
  EXPECT_TRUE(cluster_.driver(absent_).core().is_installing());
  cluster_.Settle();
  EXPECT_TRUE(second->value().ok());
}

TEST_F(DriverSnapshotTest, ItIsAcknowledgedWhenItIsDurableAndAdopted) {
  LeaveBehind(absent_);
  cluster_.store(absent_).HoldWrites();
  cluster_.machine(absent_).HoldAdopt(true);
  const LogIndex applied = cluster_.machine(absent_).applied().index;
  cluster_.ForgetSent();
  cluster_.Heal();
  cluster_.Tick(20);
  ASSERT_EQ(cluster_.snapshots_under_way(), 1u);
  EXPECT_LE(Promised(absent_), applied);
  EXPECT_TRUE(cluster_.driver(absent_).core().is_installing());
  cluster_.store(absent_).ReleaseWrites();
  cluster_.Tick(20);
  EXPECT_LE(Promised(absent_), applied);
  EXPECT_EQ(cluster_.snapshots_under_way(), 1u) << "the leader is not told before";
  EXPECT_EQ(cluster_.machine(absent_).applied().index, applied);
  cluster_.machine(absent_).HoldAdopt(false);
  cluster_.Tick(20);
  EXPECT_EQ(cluster_.snapshots_under_way(), 0u);
  EXPECT_TRUE(IsCaughtUp(absent_));
  EXPECT_EQ(Promised(absent_), cluster_.machine(leader_).applied().index);
}

// What the core had taken is written before; the log is empty after it.
TEST_F(DriverSnapshotTest, WritesThatCameBeforeItDoNotComeAfterIt) {
  cluster_.Isolate(absent_);
  Load(10);
  const std::shared_ptr<RecordedSnapshot> snapshot = TakeSnapshot();
  MemoryLogStore& store = cluster_.store(absent_);
  const EntryId last = cluster_.driver(absent_).core().last_entry();
  store.HoldWrites();
  // The leader's next two entries, and right after them a snapshot beyond them.
  AppendRequest append{.previous = last, .entries = {}, .commit_index = last.index};
  for (uint64_t i = 1; i <= 2; ++i) {
    append.entries.push_back(cluster_.store(leader_).entries().at((last.index + i).value() - 1));
  }
  ASSERT_TRUE(cluster_.driver(absent_)
                  .Take({.from = leader_, .to = absent_, .term = term(), .message = append})
                  .ok());
  const auto answer = Install(absent_, term(), snapshot);
  cluster_.Settle();
  EXPECT_FALSE(answer->has_value());
  store.ReleaseWrites();
  cluster_.Settle();
  EXPECT_TRUE(answer->value().ok());
  EXPECT_THAT(store.entries(), IsEmpty());
  EXPECT_EQ(store.previous(), snapshot->meta().point.last);
  EXPECT_EQ(cluster_.driver(absent_).core().durable_index(), snapshot->meta().point.last.index);
}

// Entries that were handed out and not applied are in the snapshot.
TEST_F(DriverSnapshotTest, NothingIsAppliedTwice) {
  cluster_.machine(absent_).TakeAtMost(0);
  Load(10);
  ASSERT_LT(cluster_.machine(absent_).applied().index, cluster_.machine(leader_).applied().index);
  cluster_.Isolate(absent_);
  Load(10);
  const auto answer = Install(absent_, term(), TakeSnapshot());
  cluster_.machine(absent_).TakeAll();
  cluster_.Settle();
  EXPECT_TRUE(answer->value().ok());
  EXPECT_TRUE(IsCaughtUp(absent_));
  cluster_.Heal();
  Load(10);
  EXPECT_TRUE(IsCaughtUp(absent_));
  EXPECT_EQ(cluster_.snapshots_begun(leader_), 0u);
}

TEST_F(DriverSnapshotTest, ACrashBetweenInstallAndAdoptingKeepsIt) {
  LeaveBehind(absent_);
  cluster_.machine(absent_).HoldAdopt(true);
  cluster_.Heal();
  cluster_.Tick(20);
  ASSERT_NE(cluster_.store(absent_).last_installed(), nullptr);
  cluster_.Restart(absent_);
  Load(kSecond);
  EXPECT_TRUE(IsCaughtUp(absent_));
  EXPECT_EQ(cluster_.machine(absent_).snapshots_adopted(), 1u);
}

TEST_F(DriverSnapshotTest, ACrashBeforeItIsDurableKeepsWhatWasThere) {
  LeaveBehind(absent_);
  cluster_.store(absent_).HoldWrites();
  const EntryId applied = cluster_.machine(absent_).applied();
  cluster_.Heal();
  cluster_.Tick(20);
  ASSERT_TRUE(cluster_.driver(absent_).core().is_installing());
  cluster_.Restart(absent_);
  EXPECT_EQ(cluster_.machine(absent_).applied(), applied);
  cluster_.store(absent_).ReleaseWrites();
  Load(2 * kSecond);
  EXPECT_TRUE(IsCaughtUp(absent_));
}

// It may have happened; nobody will tell any more.
TEST_F(DriverSnapshotTest, AForwardedProposalThatASnapshotCoversHasAnUnknownOutcome) {
  const auto probe = cluster_.Propose(absent_, "mine", 100 * kNanosPerSecond);
  // It reaches the leader, and the answer is lost.
  cluster_.SetHold(
      [this](NodeId from, NodeId to, Traffic) { return from == leader_ && to == absent_; });
  cluster_.Settle();
  cluster_.SetHold(nullptr);
  LeaveBehind(absent_);
  ASSERT_EQ(cluster_.machine(leader_).CountOf("mine"), 1u);
  ASSERT_FALSE(probe->result.has_value());
  cluster_.Heal();
  ASSERT_TRUE(cluster_.TickUntil([&] { return IsCaughtUp(absent_); }));
  EXPECT_EQ(probe->result, ProposalResult::kOutcomeUnknown);
  Load(10);
  EXPECT_EQ(cluster_.machine(leader_).CountOf("mine"), 1u);
}

// The snapshot's last entry may be of a later term than the proposal's.
TEST_F(DriverSnapshotTest, AnOldLeadersProposalThatASnapshotCoversHasAnUnknownOutcome) {
  const NodeId old_leader = leader_;
  cluster_.Isolate(old_leader);
  const auto probe = cluster_.Propose(old_leader, "mine", 100 * kNanosPerSecond);
  cluster_.Settle();
  leader_ = cluster_.AwaitLeader();
  LeaveBehind(old_leader);
  ASSERT_FALSE(probe->result.has_value());
  cluster_.Heal();
  ASSERT_TRUE(cluster_.TickUntil([&] { return IsCaughtUp(old_leader); }));
  EXPECT_EQ(cluster_.machine(old_leader).snapshots_adopted(), 1u);
  EXPECT_EQ(probe->result, ProposalResult::kOutcomeUnknown);
  Load(10);
  EXPECT_EQ(cluster_.machine(leader_).CountOf("mine"), 0u);
}

TEST_F(DriverSnapshotTest, AProposalAfterItIsAnswered) {
  LeaveBehind(absent_);
  cluster_.machine(absent_).HoldAdopt(true);
  cluster_.Heal();
  cluster_.Tick(20);
  const auto probe = cluster_.Propose(absent_, "mine", 100 * kNanosPerSecond);
  cluster_.machine(absent_).HoldAdopt(false);
  ASSERT_TRUE(cluster_.TickUntil([&] { return probe->result.has_value(); }));
  EXPECT_NE(probe->result, ProposalResult::kNoLeader);
  EXPECT_EQ(cluster_.machine(leader_).CountOf("mine"), 1u);
}

TEST_F(DriverSnapshotTest, AReadThatWaitsForItsIndexIsServedByASnapshot) {
  LeaveBehind(absent_);
  HoldSnapshots(true);
  cluster_.Heal();
  cluster_.Tick(10);
  const auto read = cluster_.Read(absent_);
  cluster_.Tick(10);
  ASSERT_FALSE(read->result.has_value());
  const LogIndex committed = cluster_.machine(leader_).applied().index;
  HoldSnapshots(false);
  cluster_.Tick(10);
  EXPECT_EQ(read->result, ReadResult::kReady);
  EXPECT_GE(read->applied, committed);
}

TEST_F(DriverSnapshotTest, AMemberThatStopsAnswersWhoOfferedOne) {
  cluster_.Isolate(absent_);
  Load(10);
  const auto offered = Install(absent_, term(), TakeSnapshot());
  cluster_.driver(absent_).Shutdown();
  EXPECT_EQ(offered->value().code(), absl::StatusCode::kUnavailable);
  cluster_.Settle();
  EXPECT_FALSE(cluster_.driver(absent_).core().is_installing());
}

TEST_F(DriverSnapshotTest, AMemberThatStopsWhileItInstallsAnswersOnce) {
  cluster_.Isolate(absent_);
  Load(10);
  cluster_.store(absent_).HoldWrites();
  int answers = 0;
  cluster_.driver(absent_).InstallSnapshot(term(), TakeSnapshot(), [&](const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    ++answers;
  });
  cluster_.Settle();
  ASSERT_TRUE(cluster_.driver(absent_).core().is_installing());
  cluster_.driver(absent_).Shutdown();
  cluster_.store(absent_).ReleaseWrites();
  cluster_.Settle();
  EXPECT_EQ(answers, 1);
  EXPECT_TRUE(IsCaughtUp(absent_)) << "what the log store began it finished";
}

}  // namespace
}  // namespace raftkv::raft
