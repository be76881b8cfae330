#include "base/rng.h"

#include <gtest/gtest.h>

#include <vector>

namespace raftkv {
namespace {

TEST(RngTest, TheNumbersAreTheStandardsOwn) {
  // ISO C++ 26.6.5 [rand.predef]: the 10,000th number of mt19937_64 from its default seed.
  Rng rng(5489);
  for (int i = 1; i < 10'000; ++i) {
    rng.Next();
  }
  EXPECT_EQ(rng.Next(), 9981545732273789042u);
}

TEST(RngTest, SeedsDecide) {
  Rng one(1);
  Rng same(1);
  Rng other(2);
  int equal_to_other = 0;
  for (int i = 0; i < 100; ++i) {
    const uint64_t number = one.Next();
    EXPECT_EQ(number, same.Next());
    equal_to_other += number == other.Next() ? 1 : 0;
  }
  EXPECT_EQ(equal_to_other, 0);
}

TEST(RngTest, ACopyGoesOnWithTheSameNumbers) {
  Rng rng(7);
  rng.Next();
  Rng copy = rng;
  const uint64_t next = rng.Next();
  EXPECT_EQ(copy.Next(), next);
  EXPECT_NE(copy.Next(), next);
}

TEST(RngTest, BelowReachesEveryNumberBelowItsBoundAndNoOther) {
  Rng rng(3);
  EXPECT_EQ(rng.Below(1), 0u);
  std::vector<int> hits(10, 0);
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t number = rng.Below(hits.size());
    ASSERT_LT(number, hits.size());
    ++hits[number];
  }
  for (const int count : hits) {
    EXPECT_GT(count, 800);
    EXPECT_LT(count, 1200);
  }
}

}  // namespace
}  // namespace raftkv
