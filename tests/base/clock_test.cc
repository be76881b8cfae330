#include "base/clock.h"

#include <gtest/gtest.h>

namespace raftkv {
namespace {

TEST(SystemMonotonicClockTest, RunsAndNeverGoesBack) {
  const SystemMonotonicClock clock;
  const MonotonicNanos start = clock.Now();
  EXPECT_GT(start, 0);
  MonotonicNanos last = start;
  while (last - start < kNanosPerMilli) {
    const MonotonicNanos now = clock.Now();
    ASSERT_GE(now, last);
    last = now;
  }
}

}  // namespace
}  // namespace raftkv
