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
  cluster_clock.Observe(ClusterMillis(9000));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(9000));
  clock.Advance(2 * kNanosPerMilli);
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(9002));
}

TEST(ClusterClockTest, NeverGoesBack) {
  FakeClock clock;
  ClusterClock cluster_clock(ClusterMillis(5000), &clock);
  clock.Advance(10 * kNanosPerMilli);
  cluster_clock.Observe(ClusterMillis(5009));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(5010));
  cluster_clock.Observe(ClusterMillis(0));
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(5010));
}

TEST(ClusterClockTest, AnEqualStampDoesNotSlowIt) {
  FakeClock clock;
  ClusterClock cluster_clock(ClusterMillis(0), &clock);
  // A leader's stamp every 0.6 ms, always equal to what is known: time must not stand still.
  for (int i = 0; i < 10; ++i) {
    clock.Advance(kNanosPerMilli * 6 / 10);
    cluster_clock.Observe(cluster_clock.Now());
  }
  EXPECT_EQ(cluster_clock.Now(), ClusterMillis(6));
}

}  // namespace
}  // namespace raftkv::raft
