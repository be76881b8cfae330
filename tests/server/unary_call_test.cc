#include "server/unary_call.h"

#include <gtest/gtest.h>

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kMilli = kNanosPerMilli;

TEST(AnswerMarginTest, IsAShareOfTheTimeAndNeverMostOfIt) {
  EXPECT_EQ(AnswerMargin(1000 * kMilli), 110 * kMilli);
  EXPECT_EQ(AnswerMargin(60'000 * kMilli), 210 * kMilli);
  EXPECT_EQ(AnswerMargin(10 * kMilli), 5 * kMilli);
  EXPECT_EQ(AnswerMargin(0), 0);
}

}  // namespace
}  // namespace raftkv::server
