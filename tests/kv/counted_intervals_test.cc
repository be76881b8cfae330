#include "kv/counted_intervals.h"

#include <optional>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace raftkv::storage {
namespace {

const kv::KeyInterval kInterval{.start = "b", .end = "d"};

TEST(CountedIntervalsTest, ACountFollowsTheKeysThatComeAndGo) {
  kv::CountedIntervals counted;
  EXPECT_EQ(counted.Find(kInterval), std::nullopt);
  const uint64_t id = counted.Begin(kInterval);
  counted.OnChange("b", true);
  counted.OnChange("a", true);
  EXPECT_EQ(counted.Find(kInterval), std::nullopt) << "the walk is under way";
  counted.End(id, 5000);
  EXPECT_EQ(counted.Find(kInterval), 5001) << "the walk could not see b";
  counted.OnChange("c", false);
  counted.OnChange("d", false);
  EXPECT_EQ(counted.Find(kInterval), 5000);
  EXPECT_EQ(counted.Find({"b", "e"}), std::nullopt);
}

TEST(CountedIntervalsTest, AnOpenEndHasNoEnd) {
  kv::CountedIntervals counted;
  counted.End(counted.Begin({"b", ""}), 5000);
  counted.OnChange("zzz", true);
  counted.OnChange("a", true);
  EXPECT_EQ(counted.Find({"b", ""}), 5001);
}

TEST(CountedIntervalsTest, FailedAndSmallWalksLeaveNothing) {
  kv::CountedIntervals counted;
  counted.End(counted.Begin(kInterval), std::nullopt);
  EXPECT_EQ(counted.Find(kInterval), std::nullopt);
  counted.End(counted.Begin(kInterval), 3);
  EXPECT_EQ(counted.Find(kInterval), std::nullopt);
}

TEST(CountedIntervalsTest, WalksSideBySideAgree) {
  kv::CountedIntervals counted;
  const uint64_t first = counted.Begin(kInterval);
  counted.OnChange("c", true);
  const uint64_t second = counted.Begin(kInterval);
  counted.End(second, 5001);
  counted.End(first, 5000);
  EXPECT_EQ(counted.Find(kInterval), 5001);
  counted.OnChange("c", false);
  EXPECT_EQ(counted.Find(kInterval), 5000);
}

// Clients that ask for the same all at once take one place together.
TEST(CountedIntervalsTest, ManyWalksOverOneIntervalPushNothingOut) {
  kv::CountedIntervals counted;
  counted.End(counted.Begin({"x", "y"}), 7000);
  std::vector<uint64_t> walks;
  for (int i = 0; i < 40; ++i) {
    walks.push_back(counted.Begin(kInterval));
  }
  EXPECT_EQ(counted.Find({"x", "y"}), 7000);
  for (const uint64_t walk : walks) {
    counted.End(walk, 5000);
    EXPECT_EQ(counted.Find(kInterval), 5000);
  }
}

TEST(CountedIntervalsTest, AWalkTellsWhatAnotherDidNot) {
  kv::CountedIntervals counted;
  const uint64_t first = counted.Begin(kInterval);
  counted.OnChange("c", true);
  const uint64_t second = counted.Begin(kInterval);
  counted.OnChange("b", true);
  counted.End(first, std::nullopt);
  EXPECT_EQ(counted.Find(kInterval), std::nullopt);
  counted.End(second, 5001);
  EXPECT_EQ(counted.Find(kInterval), 5002) << "the second walk saw c, and could not see b";
}

TEST(CountedIntervalsTest, OnlyTheLastOnesAreKept) {
  kv::CountedIntervals counted;
  const auto interval = [](int i) { return kv::KeyInterval{std::to_string(100 + i), ""}; };
  for (int i = 0; i < 16; ++i) {
    counted.End(counted.Begin(interval(i)), 5000 + i);
  }
  EXPECT_EQ(counted.Find(interval(0)), 5000);
  counted.End(counted.Begin(interval(16)), 5016);
  EXPECT_EQ(counted.Find(interval(0)), 5000);
  EXPECT_EQ(counted.Find(interval(1)), std::nullopt) << "asked for the longest time ago";
  EXPECT_EQ(counted.Find(interval(16)), 5016);
}

TEST(CountedIntervalsTest, WhatNobodyAsksForGoes) {
  kv::CountedIntervals counted;
  counted.End(counted.Begin(kInterval), 5000);
  for (int i = 0; i < 1'100'000; ++i) {
    counted.OnChange("x", i % 2 == 0);
  }
  EXPECT_EQ(counted.Find(kInterval), std::nullopt);
}

}  // namespace
}  // namespace raftkv::storage
