#include "raft/runtime/snapshot_transfers.h"

#include <map>
#include <set>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace raftkv::raft {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr MonotonicNanos kRetry = 100;

// At most two at once.
class SnapshotTransfersTest : public testing::Test {
 protected:
  bool IsHeard(NodeId peer) const { return !silent_.contains(peer.value()); }
  // The number of whom TakeNext gives; 0: nobody.
  uint64_t Next(MonotonicNanos now = 0) {
    return transfers_.TakeNext(now, [this](NodeId peer) { return IsHeard(peer); })
        .value_or(kNobody)
        .value();
  }
  // Of whom MakeRoom takes it; 0: of nobody.
  uint64_t Room(MonotonicNanos now = 0) {
    return transfers_
        .MakeRoom(
            now, [this](NodeId peer) { return IsHeard(peer); },
            [this](NodeId peer) { return !IsHeard(peer); })
        .value_or(kNobody)
        .value();
  }
  void Begin(uint64_t peer, uint64_t point) {
    transfers_.Want(NodeId(peer));
    ASSERT_EQ(Next(kNanosPerSecond), peer);
    transfers_.OnBegun(NodeId(peer), LogIndex(point));
  }
  bool End(uint64_t peer, bool taken, uint64_t log_end = 0, MonotonicNanos now = 0) {
    return transfers_.OnEnded(NodeId(peer), taken, LogIndex(log_end), now);
  }
  std::vector<LogIndex> NeededAfter() {
    return transfers_.NeededAfter(
        [this](NodeId peer) { return LogIndex(match_index_[peer.value()]); });
  }

  SnapshotTransfers transfers_{2, kRetry};
  std::map<uint64_t, uint64_t> match_index_;
  std::set<uint64_t> silent_;
};

TEST_F(SnapshotTransfersTest, OneAtATimeToEach) {
  transfers_.Want(NodeId(3));
  transfers_.Want(NodeId(3));
  EXPECT_EQ(Next(), 3u);
  EXPECT_EQ(Next(), 0u);
  transfers_.OnBegun(NodeId(3), LogIndex(9));
  transfers_.Want(NodeId(3));
  EXPECT_EQ(Next(), 0u);
  EXPECT_TRUE(End(3, true));
  EXPECT_FALSE(End(3, true)) << "it was told before";
  EXPECT_EQ(Next(), 0u) << "it was asked for while one was under way";
  transfers_.Want(NodeId(3));
  EXPECT_EQ(Next(), 3u);
}

TEST_F(SnapshotTransfersTest, FurtherOnesWaitForTheirTurn) {
  Begin(5, 9);
  Begin(4, 9);
  transfers_.Want(NodeId(3));
  transfers_.Want(NodeId(2));
  EXPECT_EQ(Next(), 0u);
  EXPECT_THAT(transfers_.UnderWay(), ElementsAre(NodeId(4), NodeId(5)));
  End(5, true);
  EXPECT_EQ(Next(), 3u) << "who came first";
  transfers_.OnBegun(NodeId(3), LogIndex(9));
  EXPECT_EQ(Next(), 0u);
}

TEST_F(SnapshotTransfersTest, OneThatFailedIsNotBegunAgainAtOnce) {
  Begin(3, 9);
  End(3, /*taken=*/false, 0, /*now=*/1000);
  transfers_.Want(NodeId(3));
  transfers_.Want(NodeId(4));
  EXPECT_EQ(Next(1099), 4u) << "another one need not wait";
  transfers_.OnBegun(NodeId(4), LogIndex(9));
  EXPECT_EQ(Next(1099), 0u);
  EXPECT_EQ(Next(1100), 3u);
  transfers_.OnBegun(NodeId(3), LogIndex(9));
  End(3, /*taken=*/true, 0, 1100);
  transfers_.Want(NodeId(3));
  EXPECT_EQ(Next(1100), 3u);
}

TEST_F(SnapshotTransfersTest, WhatFollowsThemIsNeeded) {
  EXPECT_THAT(NeededAfter(), IsEmpty());
  Begin(3, 70);
  Begin(4, 50);
  EXPECT_THAT(NeededAfter(), ElementsAre(LogIndex(70), LogIndex(50)));
  End(4, /*taken=*/false);
  EXPECT_THAT(NeededAfter(), ElementsAre(LogIndex(70))) << "who did not take it needs another one";
}

// Or it would need another one, and again.
TEST_F(SnapshotTransfersTest, AndUntilTheFollowerHasCaughtUp) {
  Begin(3, 70);
  End(3, /*taken=*/true, /*log_end=*/200);
  EXPECT_THAT(NeededAfter(), ElementsAre(LogIndex(70))) << "its acknowledgement may be on its way";
  match_index_[3] = 150;
  EXPECT_THAT(NeededAfter(), ElementsAre(LogIndex(150)));
  match_index_[3] = 199;
  EXPECT_THAT(NeededAfter(), ElementsAre(LogIndex(199)));
  match_index_[3] = 200;
  EXPECT_THAT(NeededAfter(), IsEmpty());
  match_index_[3] = 100;
  EXPECT_THAT(NeededAfter(), IsEmpty()) << "once is enough";
}

TEST_F(SnapshotTransfersTest, AnotherOneTakesTheCatchingUpsPlace) {
  Begin(3, 70);
  End(3, true, 200);
  Begin(3, 170);
  EXPECT_THAT(NeededAfter(), ElementsAre(LogIndex(170)));
}

TEST_F(SnapshotTransfersTest, ATrimEndsThoseThatItLeavesBehind) {
  Begin(3, 70);
  Begin(4, 50);
  EXPECT_THAT(transfers_.OnTrimmed(LogIndex(50)), IsEmpty());
  EXPECT_THAT(transfers_.OnTrimmed(LogIndex(51)), ElementsAre(NodeId(4)));
  EXPECT_THAT(transfers_.UnderWay(), ElementsAre(NodeId(3)));
  transfers_.Want(NodeId(4));
  EXPECT_EQ(Next(), 4u) << "it did not fail";
}

TEST_F(SnapshotTransfersTest, ATrimEndsTheCatchingUpThatItLeavesBehind) {
  Begin(3, 70);
  End(3, /*taken=*/true, /*log_end=*/200);
  match_index_[3] = 150;
  EXPECT_THAT(NeededAfter(), ElementsAre(LogIndex(150)));
  transfers_.OnTrimmed(LogIndex(150));
  EXPECT_THAT(NeededAfter(), ElementsAre(LogIndex(150)));
  transfers_.OnTrimmed(LogIndex(151));
  EXPECT_THAT(NeededAfter(), IsEmpty()) << "it needs another snapshot";
}

TEST_F(SnapshotTransfersTest, NoneIsBegunToWhoIsNotThere) {
  silent_ = {3};
  transfers_.Want(NodeId(3));
  EXPECT_EQ(Next(), 0u);
  transfers_.Want(NodeId(4));
  EXPECT_EQ(Next(), 4u) << "whoever comes after it does not wait for it";
  transfers_.OnBegun(NodeId(4), LogIndex(9));
  EXPECT_EQ(Next(), 0u);
  silent_.clear();
  EXPECT_EQ(Next(), 3u);
}

TEST_F(SnapshotTransfersTest, WhoIsNotThereAnyMoreMakesRoomForWhoWaits) {
  Begin(3, 9);
  Begin(4, 9);
  silent_ = {4, 5};
  EXPECT_EQ(Room(), 0u) << "nobody waits";
  transfers_.Want(NodeId(5));
  EXPECT_EQ(Room(), 0u) << "who waits is not there either";
  transfers_.Want(NodeId(6));
  EXPECT_EQ(Room(), 4u);
  EXPECT_EQ(Room(), 0u) << "there is room";
  EXPECT_THAT(transfers_.UnderWay(), ElementsAre(NodeId(3)));
  EXPECT_EQ(Next(), 6u);
  transfers_.OnBegun(NodeId(6), LogIndex(9));
  transfers_.Want(NodeId(7));
  EXPECT_EQ(Room(), 0u) << "all are there";
}

TEST_F(SnapshotTransfersTest, NoRoomIsMadeForWhoseTurnIsNotYet) {
  Begin(3, 9);
  End(3, /*taken=*/false, 0, /*now=*/1000);
  Begin(4, 9);
  Begin(5, 9);
  silent_ = {4};
  transfers_.Want(NodeId(3));
  EXPECT_EQ(Room(1099), 0u);
  EXPECT_EQ(Room(1100), 4u);
}

TEST_F(SnapshotTransfersTest, ForgetsWhoLeft) {
  Begin(3, 70);
  Begin(4, 50);
  End(4, true, 200);
  transfers_.Want(NodeId(5));
  const auto nobody = [](NodeId) { return false; };
  EXPECT_THAT(transfers_.KeepOnly(nobody, nobody), ElementsAre(NodeId(3)));
  EXPECT_TRUE(transfers_.empty());
  EXPECT_EQ(Next(), 0u);
  EXPECT_THAT(NeededAfter(), IsEmpty());
}

TEST_F(SnapshotTransfersTest, WhoNeedsNoneAnyMoreTakesNobodysPlace) {
  Begin(3, 70);
  Begin(4, 50);
  transfers_.Want(NodeId(5));
  transfers_.Want(NodeId(6));
  silent_ = {3};
  const auto everybody = [](NodeId) { return true; };
  EXPECT_THAT(transfers_.KeepOnly(everybody, [](NodeId peer) { return peer == NodeId(6); }),
              IsEmpty());
  EXPECT_EQ(Room(), 3u);
  EXPECT_EQ(Next(), 6u);
  transfers_.OnBegun(NodeId(6), LogIndex(80));
  EXPECT_TRUE(End(4, true));
  EXPECT_EQ(Next(), 0u);
}

TEST_F(SnapshotTransfersTest, ATimeAsALeaderEnds) {
  Begin(3, 70);
  End(3, false, 0, kNanosPerSecond);
  Begin(2, 60);
  End(2, true, 200);
  Begin(4, 50);
  transfers_.Want(NodeId(3));
  EXPECT_THAT(transfers_.Clear(), ElementsAre(NodeId(4)));
  EXPECT_TRUE(transfers_.empty());
  EXPECT_THAT(NeededAfter(), IsEmpty());
  EXPECT_FALSE(End(4, true));
  transfers_.Want(NodeId(3));
  EXPECT_EQ(Next(), 3u) << "an earlier failure is forgotten";
}

}  // namespace
}  // namespace raftkv::raft
