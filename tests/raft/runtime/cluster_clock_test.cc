#include "raft/runtime/cluster_clock.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace raftkv::raft {
namespace {

ClusterReading Reading(uint64_t term, uint64_t millis) {
  return {.term = Term(term), .time = ClusterMillis(millis)};
}

ClusterReading StartAt(uint64_t millis) { return Reading(0, millis); }

TEST(ClusterClockTest, StartsAtWhatWasRestored) {
  FakeClock clock;
  const ClusterClock cluster_clock(StartAt(5000), &clock);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(5000));
}

TEST(ClusterClockTest, RunsWithTheMonotonicClockRoundedDown) {
  FakeClock clock;
  const ClusterClock cluster_clock(StartAt(5000), &clock);
  clock.Advance(kNanosPerMilli - 1);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(5000));
  clock.Advance(1);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(5001));
  clock.Advance(10 * kNanosPerSecond);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(15'001));
}

TEST(ClusterClockTest, JumpsForwardToALaterStamp) {
  FakeClock clock;
  ClusterClock cluster_clock(StartAt(5000), &clock);
  clock.Advance(3 * kNanosPerMilli);
  cluster_clock.Observe(Term(0), ClusterMillis(9000));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(9000));
  clock.Advance(2 * kNanosPerMilli);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(9002));
}

TEST(ClusterClockTest, IgnoresOvertakenStampsOfOneLeader) {
  FakeClock clock;
  ClusterClock cluster_clock(StartAt(0), &clock);
  cluster_clock.Observe(Term(0), ClusterMillis(5000));
  clock.Advance(10 * kNanosPerMilli);
  cluster_clock.Observe(Term(0), ClusterMillis(4999));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(5010));
  cluster_clock.Observe(Term(0), ClusterMillis(0));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(5010));
}

// A leader may lead for months. A clock that gains 20 ms a minute on it must not have gained half
// an hour by the time when its node leads next, or keys expire early by as much.
TEST(ClusterClockTest, AFastClockDoesNotRunAheadOfItsLeader) {
  FakeClock clock;
  ClusterClock cluster_clock(StartAt(0), &clock);
  uint64_t leaders_millis = 0;
  for (int heartbeat = 0; heartbeat < 100'000; ++heartbeat) {
    leaders_millis += 100;
    clock.Advance(100 * kNanosPerMilli + 33'333);
    cluster_clock.Observe(Term(0), ClusterMillis(leaders_millis));
  }
  EXPECT_LE(cluster_clock.Now(), ClusterMillis(leaders_millis));
  clock.Advance(100 * kNanosPerMilli + 33'333);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(leaders_millis + 100));
}

TEST(ClusterClockTest, ANewLeadersTimeReplacesWhatWasAheadOfIt) {
  // This node started earlier than its leader, so its own time is ahead; keys must not expire by
  // it.
  FakeClock clock;
  ClusterClock cluster_clock(StartAt(0), &clock);
  clock.Advance(500 * kNanosPerMilli);
  cluster_clock.FollowLog(Reading(1, 300));
  EXPECT_EQ(cluster_clock.Read(), Reading(1, 300)) << "all that is sure";
  cluster_clock.Observe(Term(1), ClusterMillis(400));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(400));
  clock.Advance(100 * kNanosPerMilli);
  cluster_clock.FollowLog(Reading(1, 450));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(500)) << "the log goes on under the same leader";
  cluster_clock.FollowLog(Reading(2, 450));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(450));
}

// It may never reach the log, and what is there may be committed under this node.
TEST(ClusterClockTest, ALeaderWhoseEntriesAreNotInTheLogIsNotHeard) {
  FakeClock clock;
  ClusterClock cluster_clock(Reading(2, 400), &clock);
  cluster_clock.Observe(Term(3), ClusterMillis(900));
  EXPECT_EQ(cluster_clock.Read(), Reading(2, 400)) << "a later one";
  cluster_clock.Observe(Term(1), ClusterMillis(900));
  EXPECT_EQ(cluster_clock.Read(), Reading(2, 400)) << "a deposed one";
}

// The entries of term 3 were cut off again, by a leader that has those of term 2.
TEST(ClusterClockTest, ALogThatEndsInAnEarlierTermTakesTheClockBack) {
  FakeClock clock;
  ClusterClock cluster_clock(Reading(3, 900), &clock);
  cluster_clock.FollowLog(Reading(2, 400));
  EXPECT_EQ(cluster_clock.Read(), Reading(2, 400));
}

TEST(ClusterClockTest, ARestartedNodeStillKnowsItsLeader) {
  FakeClock clock;
  ClusterClock cluster_clock(Reading(2, 400), &clock);
  cluster_clock.Observe(Term(1), ClusterMillis(900));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(400)) << "a deposed leader";
  cluster_clock.Observe(Term(2), ClusterMillis(399));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(400)) << "overtaken";
  cluster_clock.Observe(Term(2), ClusterMillis(450));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(450));
}

TEST(ClusterClockTest, ALeadersOwnCountIsTheTimeOfItsTerm) {
  FakeClock clock;
  ClusterClock cluster_clock(Reading(2, 400), &clock);
  clock.Advance(3 * kNanosPerMilli);
  cluster_clock.Lead(Reading(3, 403));
  EXPECT_EQ(cluster_clock.Read(), Reading(3, 403));
  clock.Advance(3 * kNanosPerMilli);
  EXPECT_EQ(cluster_clock.Read(), Reading(3, 406));
}

// It had been down, and gets what the leader of term 2 wrote from the one of term 3, whose
// time it does not listen to yet. Its clock must not stay behind its log: when it led then, others
// would count from the log's stamps and it from its own.
TEST(ClusterClockTest, ItIsNotBehindALogThatIsCaughtUpWith) {
  FakeClock clock;
  ClusterClock cluster_clock(Reading(2, 400), &clock);
  cluster_clock.FollowLog(Reading(2, 60'000));
  cluster_clock.Observe(Term(3), ClusterMillis(90'000));
  EXPECT_EQ(cluster_clock.Read(), Reading(2, 60'000));
}

TEST(ClusterClockTest, ALeaderIsNotBehindItsLog) {
  FakeClock clock;
  ClusterClock cluster_clock(Reading(2, 400), &clock);
  cluster_clock.Lead(Reading(3, 500));
  EXPECT_EQ(cluster_clock.Read(), Reading(3, 500));
}

TEST(RestoredReadingTest, TheLogsEndDecidesThenTheLaterTime) {
  EXPECT_EQ(RestoredReading(Reading(0, 0), Reading(0, 0)), Reading(0, 0)) << "a fresh member";
  EXPECT_EQ(RestoredReading(Reading(3, 900), Reading(3, 500)), Reading(3, 900));
  EXPECT_EQ(RestoredReading(Reading(3, 500), Reading(3, 900)), Reading(3, 900));
  EXPECT_EQ(RestoredReading(Reading(2, 900), Reading(3, 500)), Reading(3, 500))
      << "of another leader, whose clock may have been ahead";
  EXPECT_EQ(RestoredReading(Reading(4, 900), Reading(3, 500)), Reading(3, 500))
      << "of a leader whose entries are not in the log";
}

TEST(ClusterClockTest, StampsInQuickSuccessionDoNotSlowIt) {
  FakeClock clock;
  ClusterClock cluster_clock(StartAt(0), &clock);
  cluster_clock.Observe(Term(0), ClusterMillis(0));
  // A leader's stamp every 0.1 ms, nearly always equal to what is known: time must not stand still.
  for (uint64_t i = 1; i <= 60; ++i) {
    clock.Advance(kNanosPerMilli / 10);
    cluster_clock.Observe(Term(0), ClusterMillis(i / 10));
    EXPECT_EQ(cluster_clock.Now(), ClusterMillis(i / 10));
  }
}

}  // namespace
}  // namespace raftkv::raft
