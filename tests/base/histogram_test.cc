#include "base/histogram.h"

#include <gtest/gtest.h>

#include <limits>

namespace raftkv {
namespace {

TEST(HistogramTest, AValueAtABoundCountsBelowIt) {
  Histogram histogram(/*first_bound=*/10, /*bounds=*/3);
  ASSERT_EQ(histogram.bounds(), 3U);
  EXPECT_EQ(histogram.bound(0), 10);
  EXPECT_EQ(histogram.bound(2), 40);
  for (const int64_t value : {0, 1, 10}) {
    histogram.Observe(value);
  }
  for (const int64_t value : {11, 20}) {
    histogram.Observe(value);
  }
  for (const int64_t value : {21, 39, 40, 40}) {
    histogram.Observe(value);
  }
  histogram.Observe(41);
  EXPECT_EQ(histogram.bucket(0), 3U);
  EXPECT_EQ(histogram.bucket(1), 2U);
  EXPECT_EQ(histogram.bucket(2), 4U);
  EXPECT_EQ(histogram.bucket(3), 1U);
  EXPECT_EQ(histogram.count(), 10U);
  EXPECT_EQ(histogram.sum(), 0U + 1 + 10 + 11 + 20 + 21 + 39 + 40 + 40 + 41);
}

TEST(HistogramTest, TheSmallestAndTheLargestHaveAPlace) {
  Histogram histogram(/*first_bound=*/1, /*bounds=*/Histogram::kBoundsMax);
  histogram.Observe(-5);
  histogram.Observe(std::numeric_limits<int64_t>::max());
  EXPECT_EQ(histogram.bucket(0), 1U);
  EXPECT_EQ(histogram.bucket(Histogram::kBoundsMax), 1U);
  EXPECT_EQ(histogram.sum(), static_cast<uint64_t>(std::numeric_limits<int64_t>::max()));
}

TEST(HistogramTest, DurationsHaveTheBoundsThatOthersHave) {
  const Histogram durations = Histogram::OfDurations();
  EXPECT_EQ(durations.bound(0), 125'000);
  EXPECT_EQ(durations.bound(3), kNanosPerMilli);
  EXPECT_EQ(durations.bound(durations.bounds() - 1), 8192 * kNanosPerMilli);
}

}  // namespace
}  // namespace raftkv
