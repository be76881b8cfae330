#include "server/loop/request_stats.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "tests/support/fake_clock.h"

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kSecond = kNanosPerSecond;
constexpr MonotonicNanos kMilli = kNanosPerMilli;

TEST(RecentLatencyTest, TellsOfWholeSecondsOnly) {
  const MonotonicNanos start = 1000 * kSecond;
  RecentLatency latency(start);
  EXPECT_EQ(latency.Summarize(start).window, 0);
  latency.Record(start + 1100 * kMilli, 3 * kMilli);
  EXPECT_EQ(latency.Summarize(start + 1900 * kMilli).count, 0U) << "its second is not over";
  const RecentLatency::Summary summary = latency.Summarize(start + 2000 * kMilli);
  EXPECT_EQ(summary.window, kSecond);
  EXPECT_EQ(summary.count, 1U);
  EXPECT_GE(summary.p50, 3 * kMilli);
  EXPECT_LE(summary.p50, 3 * kMilli * 9 / 8);
}

TEST(RecentLatencyTest, ForgetsAfterItsSeconds) {
  const MonotonicNanos start = 1000 * kSecond;
  RecentLatency latency(start);
  for (int second = 1; second <= 20; ++second) {
    latency.Record(start + second * kSecond, second * kMilli);
  }
  // Seconds 16 to 20 are left.
  RecentLatency::Summary summary = latency.Summarize(start + 21 * kSecond);
  EXPECT_EQ(summary.window, 5 * kSecond);
  EXPECT_EQ(summary.count, 5U);
  EXPECT_GE(summary.p50, 18 * kMilli);
  EXPECT_LE(summary.p50, 18 * kMilli * 9 / 8);
  EXPECT_GE(summary.p99, 20 * kMilli);
  summary = latency.Summarize(start + 24 * kSecond);
  EXPECT_EQ(summary.count, 2U);
  summary = latency.Summarize(start + 100 * kSecond);
  EXPECT_EQ(summary.window, 5 * kSecond);
  EXPECT_EQ(summary.count, 0U);
  EXPECT_EQ(summary.p99, 0);
}

TEST(RecentLatencyTest, OfAHundredTheSlowestDoesNotMove99) {
  const MonotonicNanos start = 1000 * kSecond;
  RecentLatency latency(start);
  for (int i = 0; i < 99; ++i) {
    latency.Record(start + kSecond, kMilli);
  }
  latency.Record(start + kSecond, kSecond);
  EXPECT_LE(latency.Summarize(start + 2 * kSecond).p99, kMilli * 9 / 8);
  latency.Record(start + kSecond, kSecond);
  EXPECT_GE(latency.Summarize(start + 2 * kSecond).p99, kSecond);
}

TEST(RecentLatencyTest, LateAndNegativeOnesDoNoHarm) {
  const MonotonicNanos start = 1000 * kSecond;
  RecentLatency latency(start);
  latency.Record(start + 10 * kSecond, -5);
  // The place of second 10 is also that of second 4.
  latency.Record(start + 4 * kSecond, kSecond);
  const RecentLatency::Summary summary = latency.Summarize(start + 11 * kSecond);
  EXPECT_EQ(summary.count, 1U);
  EXPECT_EQ(summary.p99, 0);
}

TEST(RequestStatsTest, CountsByKindAndOutcome) {
  FakeClock clock;
  RequestStats stats(&clock);
  clock.Advance(kSecond);
  const MonotonicNanos began = clock.Now();
  clock.Advance(10 * kMilli);
  stats.OnAnswered(RequestKind::kRead, began, /*failed=*/false);
  stats.OnAnswered(RequestKind::kWrite, began, /*failed=*/false);
  stats.OnAnswered(RequestKind::kWrite, began, /*failed=*/false);
  stats.OnAnswered(RequestKind::kRead, began, /*failed=*/true);
  stats.OnAnswered(RequestKind::kWrite, began, /*failed=*/true);
  stats.OnAnswered(RequestKind::kWrite, began, /*failed=*/true);
  stats.OnAnswered(RequestKind::kOther, began, /*failed=*/false);
  stats.OnAnswered(RequestKind::kOther, began, /*failed=*/true);
  for (int i = 0; i < 4; ++i) {
    stats.OnSynced(2 * kMilli);
  }
  clock.Advance(kSecond);
  EXPECT_EQ(stats.reads().count, 1U);
  EXPECT_EQ(stats.writes().count, 2U);
  EXPECT_EQ(stats.failed().count, 3U);
  EXPECT_EQ(stats.syncs().count, 4U);
  EXPECT_GE(stats.writes().p99, 10 * kMilli);
  EXPECT_LE(stats.writes().p99, 10 * kMilli * 9 / 8);
  EXPECT_LE(stats.syncs().p99, 2 * kMilli * 9 / 8);
}

TEST(RequestStatsTest, TakesSyncsFromOtherThreads) {
  const SystemMonotonicClock clock;
  RequestStats stats(&clock);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 1000; ++k) {
        stats.OnSynced(kMilli);
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
