#include "raft/runtime/cluster_clock.h"

#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace raftkv::raft {
namespace {

TEST(ClusterClockTest, StartsAtWhatWasRestored) {
  FakeClock clock;
  const ClusterClock cluster_clock(ClusterMillis(5000), &clock);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(5000));
}

TEST(ClusterClockTest, RunsWithTheMonotonicClockRoundedDown) {
  FakeClock clock;
  const ClusterClock cluster_clock(ClusterMillis(5000), &clock);
  clock.Advance(kNanosPerMilli - 1);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(5000));
  clock.Advance(1);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(5001));
  clock.Advance(10 * kNanosPerSecond);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(15'001));
}

TEST(ClusterClockTest, JumpsForwardToALaterStamp) {
  FakeClock clock;
  ClusterClock cluster_clock(ClusterMillis(5000), &clock);
  clock.Advance(3 * kNanosPerMilli);
  cluster_clock.Observe(Term(1), ClusterMillis(9000));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(9000));
  clock.Advance(2 * kNanosPerMilli);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(9002));
}

TEST(ClusterClockTest, NeverGoesBackUnderOneLeader) {
  FakeClock clock;
  ClusterClock cluster_clock(ClusterMillis(0), &clock);
  cluster_clock.Observe(Term(1), ClusterMillis(5000));
  clock.Advance(10 * kNanosPerMilli);
  cluster_clock.Observe(Term(1), ClusterMillis(5009));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(5010));
  cluster_clock.Observe(Term(1), ClusterMillis(0));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(5010));
}

TEST(ClusterClockTest, ANewLeadersTimeReplacesWhatWasAheadOfIt) {
  // This node started earlier than its leader, so its own time is ahead; keys must not expire by
  // it.
  FakeClock clock;
  ClusterClock cluster_clock(ClusterMillis(0), &clock);
  clock.Advance(500 * kNanosPerMilli);
  cluster_clock.Observe(Term(1), ClusterMillis(400));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(400));
  clock.Advance(100 * kNanosPerMilli);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(500));
  cluster_clock.Observe(Term(2), ClusterMillis(450));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(450));
}

TEST(ClusterClockTest, ADeposedLeaderIsNotHeard) {
  FakeClock clock;
  ClusterClock cluster_clock(ClusterMillis(0), &clock);
  cluster_clock.Observe(Term(2), ClusterMillis(400));
  cluster_clock.Observe(Term(1), ClusterMillis(900));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(400));
}

TEST(ClusterClockTest, AnEqualStampDoesNotSlowIt) {
  FakeClock clock;
  ClusterClock cluster_clock(ClusterMillis(0), &clock);
  cluster_clock.Observe(Term(1), ClusterMillis(0));
  // A leader's stamp every 0.6 ms, always equal to what is known: time must not stand still.
  for (int i = 0; i < 10; ++i) {
    clock.Advance(kNanosPerMilli * 6 / 10);
    cluster_clock.Observe(Term(1), cluster_clock.Now());
  }
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(6));
}

}  // namespace
}  // namespace raftkv::raft
