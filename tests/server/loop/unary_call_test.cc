#include "server/loop/unary_call.h"

#include <gtest/gtest.h>

#include "base/deadline.h"

namespace raftkv::server {
namespace {

gpr_timespec Seconds(int64_t seconds, int32_t nanos = 0) {
  return {.tv_sec = seconds, .tv_nsec = nanos, .clock_type = GPR_CLOCK_MONOTONIC};
}

TEST(TimeUntilTest, CountsNanosecondsAsFarAsTheyGo) {
  EXPECT_EQ(TimeUntil(Seconds(7, 500), Seconds(5, 600)), 2 * kNanosPerSecond - 100);
  EXPECT_EQ(TimeUntil(Seconds(5), Seconds(5)), 0);
  EXPECT_EQ(TimeUntil(Seconds(5), Seconds(5, 1)), 0) << "it is past";
  EXPECT_EQ(TimeUntil(Seconds(0), Seconds(5'000'000'000)), 0);
  // What grpc-timeout can say at most, and the 292 years that nanoseconds last.
  EXPECT_EQ(TimeUntil(Seconds(99'999'999LL * 3600), Seconds(5)), kNever);
  EXPECT_EQ(TimeUntil(Seconds(9'223'372'036 + 5), Seconds(5)), kNever);
  EXPECT_EQ(TimeUntil(Seconds(9'223'372'035 + 5), Seconds(5)), 9'223'372'035 * kNanosPerSecond);
  EXPECT_EQ(TimeUntil(gpr_inf_future(GPR_CLOCK_MONOTONIC), Seconds(5)), kNever);
}

TEST(AnswerMarginTest, IsAShareOfTheTimeAndNeverMostOfIt) {
  EXPECT_EQ(AnswerMargin(1000 * kNanosPerMilli), 110 * kNanosPerMilli);
  EXPECT_EQ(AnswerMargin(60'000 * kNanosPerMilli), 210 * kNanosPerMilli);
  EXPECT_EQ(AnswerMargin(10 * kNanosPerMilli), 5 * kNanosPerMilli);
  EXPECT_EQ(AnswerMargin(0), 0);
  EXPECT_EQ(AnswerMargin(kNever), 210 * kNanosPerMilli);
}

}  // namespace
}  // namespace raftkv::server
