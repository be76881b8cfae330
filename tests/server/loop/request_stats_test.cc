#include "server/loop/request_stats.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/support/fake_clock.h"

namespace raftkv::server {
namespace {

TEST(RecentLatencyTest, TellsOfWholeSecondsOnly) {
  const MonotonicNanos start = 1000 * kNanosPerSecond;
  RecentLatency latency(start);
  EXPECT_EQ(latency.Summarize(start).window, 0);
  latency.Record(start + 1100 * kNanosPerMilli, 3 * kNanosPerMilli);
  EXPECT_EQ(latency.Summarize(start + 1900 * kNanosPerMilli).count, 0U) << "its second is not over";
  const RecentLatency::Summary summary = latency.Summarize(start + 2000 * kNanosPerMilli);
  EXPECT_EQ(summary.window, kNanosPerSecond);
  EXPECT_EQ(summary.count, 1U);
  EXPECT_GE(summary.p50, 3 * kNanosPerMilli);
  EXPECT_LE(summary.p50, 3 * kNanosPerMilli * 9 / 8);
}

TEST(RecentLatencyTest, ForgetsAfterItsSeconds) {
  const MonotonicNanos start = 1000 * kNanosPerSecond;
  RecentLatency latency(start);
  for (int second = 1; second <= 20; ++second) {
    latency.Record(start + second * kNanosPerSecond, second * kNanosPerMilli);
  }
  // Seconds 16 to 20 are left.
  RecentLatency::Summary summary = latency.Summarize(start + 21 * kNanosPerSecond);
  EXPECT_EQ(summary.window, 5 * kNanosPerSecond);
  EXPECT_EQ(summary.count, 5U);
  EXPECT_GE(summary.p50, 18 * kNanosPerMilli);
  EXPECT_LE(summary.p50, 18 * kNanosPerMilli * 9 / 8);
  EXPECT_GE(summary.p99, 20 * kNanosPerMilli);
  summary = latency.Summarize(start + 24 * kNanosPerSecond);
  EXPECT_EQ(summary.count, 2U);
  summary = latency.Summarize(start + 100 * kNanosPerSecond);
  EXPECT_EQ(summary.window, 5 * kNanosPerSecond);
  EXPECT_EQ(summary.count, 0U);
  EXPECT_EQ(summary.p99, 0);
}

TEST(RecentLatencyTest, OfAHundredTheSlowestDoesNotMove99) {
  const MonotonicNanos start = 1000 * kNanosPerSecond;
  RecentLatency latency(start);
  for (int i = 0; i < 99; ++i) {
    latency.Record(start + kNanosPerSecond, kNanosPerMilli);
  }
  latency.Record(start + kNanosPerSecond, kNanosPerSecond);
  EXPECT_LE(latency.Summarize(start + 2 * kNanosPerSecond).p99, kNanosPerMilli * 9 / 8);
  latency.Record(start + kNanosPerSecond, kNanosPerSecond);
  EXPECT_GE(latency.Summarize(start + 2 * kNanosPerSecond).p99, kNanosPerSecond);
}

TEST(RecentLatencyTest, LateAndNegativeOnesDoNoHarm) {
  const MonotonicNanos start = 1000 * kNanosPerSecond;
  RecentLatency latency(start);
  latency.Record(start + 10 * kNanosPerSecond, -5);
  // The place of second 10 is also that of second 4.
  latency.Record(start + 4 * kNanosPerSecond, kNanosPerSecond);
  const RecentLatency::Summary summary = latency.Summarize(start + 11 * kNanosPerSecond);
  EXPECT_EQ(summary.count, 1U);
  EXPECT_EQ(summary.p99, 0);
}

TEST(RequestStatsTest, CountsByKindAndOutcome) {
  FakeClock clock;
  RequestStats stats(&clock);
  clock.Advance(kNanosPerSecond);
  const MonotonicNanos began = clock.Now();
  clock.Advance(10 * kNanosPerMilli);
  stats.OnAnswered(RequestKind::kRead, began, /*failed=*/false);
  stats.OnAnswered(RequestKind::kWrite, began, /*failed=*/false);
  stats.OnAnswered(RequestKind::kWrite, began, /*failed=*/false);
  stats.OnAnswered(RequestKind::kRead, began, /*failed=*/true);
  stats.OnAnswered(RequestKind::kWrite, began, /*failed=*/true);
  stats.OnAnswered(RequestKind::kWrite, began, /*failed=*/true);
  stats.OnAnswered(RequestKind::kOther, began, /*failed=*/false);
  stats.OnAnswered(RequestKind::kOther, began, /*failed=*/true);
  for (int i = 0; i < 4; ++i) {
    stats.OnSynced(2 * kNanosPerMilli);
  }
  clock.Advance(kNanosPerSecond);
  EXPECT_EQ(stats.reads().count, 1U);
  EXPECT_EQ(stats.writes().count, 2U);
  EXPECT_EQ(stats.failed().count, 3U);
  EXPECT_EQ(stats.syncs().count, 4U);
  EXPECT_GE(stats.writes().p99, 10 * kNanosPerMilli);
  EXPECT_LE(stats.writes().p99, 10 * kNanosPerMilli * 9 / 8);
  EXPECT_LE(stats.syncs().p99, 2 * kNanosPerMilli * 9 / 8);
}

TEST(RequestStatsTest, TakesSyncsFromOtherThreads) {
  const SystemMonotonicClock clock;
  RequestStats stats(&clock);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 1000; ++k) {
        stats.OnSynced(kNanosPerMilli);
        stats.syncs();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace
}  // namespace raftkv::server
