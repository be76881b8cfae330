#include "base/latency_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/rng.h"

namespace raftkv {
namespace {

TEST(LatencyHistogramTest, EmptyOneHasZeroes) {
  LatencyHistogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.Percentile(50), 0u);
  EXPECT_EQ(histogram.Mean(), 0);
}

TEST(LatencyHistogramTest, SmallValuesAreExact) {
  LatencyHistogram histogram;
  for (uint64_t value = 1; value <= 1000; ++value) histogram.Record(value);
  EXPECT_EQ(histogram.Percentile(0), 1u);
  EXPECT_EQ(histogram.Percentile(50), 500u);
  EXPECT_EQ(histogram.Percentile(99), 990u);
  EXPECT_EQ(histogram.Percentile(99.9), 999u);
  EXPECT_EQ(histogram.Percentile(100), 1000u);
  EXPECT_DOUBLE_EQ(histogram.Mean(), 500.5);
}

TEST(LatencyHistogramTest, EveryPowerOfTwoAndItsNeighboursStayWithinTheErrorBound) {
  for (const int bits : {1, 3, 10}) {
    for (uint64_t power = 2; power <= LatencyHistogram::kValueMax; power *= 2) {
      for (const uint64_t value : {power - 1, power, power + 1}) {
        LatencyHistogram histogram(bits);
        histogram.Record(value);
        histogram.Record(LatencyHistogram::kValueMax);
        const uint64_t reported = histogram.Percentile(50);
        EXPECT_GE(reported, value);
        EXPECT_LE(reported - value, value >> bits) << value;
      }
    }
  }
}

TEST(LatencyHistogramTest, PercentilesOfRandomValuesStayWithinTheErrorBound) {
  Rng rng(7);
  LatencyHistogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    values.push_back(rng.Below(uint64_t{1} << (1 + rng.Below(36))));
    histogram.Record(values.back());
  }
  std::sort(values.begin(), values.end());
  uint64_t previous = 0;
  for (const double percent : {1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const uint64_t exact = values[static_cast<size_t>(percent * values.size() / 100) - 1];
    const uint64_t reported = histogram.Percentile(percent);
    EXPECT_GE(reported, exact) << percent;
    EXPECT_LE(reported - exact, exact / 1024) << percent;
    EXPECT_GE(reported, previous) << percent;
    previous = reported;
  }
  EXPECT_EQ(histogram.max(), values.back());
}

TEST(LatencyHistogramTest, ValuesAboveTheLimitCountAsTheLimit) {
  LatencyHistogram histogram;
  histogram.Record(UINT64_MAX);
  EXPECT_EQ(histogram.count(), 1u);
  EXPECT_EQ(histogram.max(), LatencyHistogram::kValueMax);
  EXPECT_EQ(histogram.Percentile(50), LatencyHistogram::kValueMax);
}

TEST(LatencyHistogramTest, AClearedOneIsAsNew) {
  LatencyHistogram histogram(3);
  histogram.Record(5'000'000);
  histogram.Clear();
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  histogram.Record(7);
  EXPECT_EQ(histogram.Percentile(100), 7u);
  EXPECT_DOUBLE_EQ(histogram.Mean(), 7);
}

TEST(LatencyHistogramTest, MergedOnesEqualOneThatSawEverything) {
  Rng rng(11);
  LatencyHistogram left, right, both;
  for (int i = 0; i < 5'000; ++i) {
    const uint64_t value = rng.Below(1'000'000);
    (i % 3 == 0 ? left : right).Record(value);
    both.Record(value);
  }
  left.Merge(right);
  EXPECT_EQ(left.count(), both.count());
  EXPECT_EQ(left.max(), both.max());
  EXPECT_DOUBLE_EQ(left.Mean(), both.Mean());
  for (const double percent : {0.0, 25.0, 50.0, 75.0, 99.0, 100.0}) {
    EXPECT_EQ(left.Percentile(percent), both.Percentile(percent)) << percent;
  }
}

}  // namespace
}  // namespace raftkv
