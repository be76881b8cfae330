#include "storage/dead_intervals.h"

#include <set>
#include <string>
#include <vector>

#include "base/rng.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace raftkv::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

constexpr raft::LogIndex kNow = raft::LogIndex(10);

TEST(DeadIntervalsTest, IntervalsThatTouchBecomeOne) {
  DeadIntervals dead;
  dead.Add({"b", "c"});
  dead.Add({"e", "g"});
  EXPECT_THAT(*dead.proven(), ElementsAre(Pair("b", "c"), Pair("e", "g")));
  dead.Add({"c", "d"});
  EXPECT_THAT(*dead.proven(), ElementsAre(Pair("b", "d"), Pair("e", "g")));
  dead.Add({"a", "f"});
  EXPECT_THAT(*dead.proven(), ElementsAre(Pair("a", "g")));
  dead.Add({"b", "c"});
  dead.Add({"x", "x"});
  EXPECT_THAT(*dead.proven(), ElementsAre(Pair("a", "g")));
}

TEST(DeadIntervalsTest, ACreatedKeyIsCutOut) {
  DeadIntervals dead;
  dead.Add({"b", "f"});
  dead.OnCreated("a");
  dead.OnCreated("f");
  EXPECT_THAT(*dead.proven(), ElementsAre(Pair("b", "f")));
  dead.OnCreated("c");
  const std::string after("c\0", 2);
  EXPECT_THAT(*dead.proven(), ElementsAre(Pair("b", "c"), Pair(after, "f")));
  dead.OnCreated("b");
  EXPECT_THAT(*dead.proven(), ElementsAre(Pair(std::string("b\0", 2), "c"), Pair(after, "f")));
}

TEST(DeadIntervalsTest, WhatAViewGotStaysAsItWas) {
  DeadIntervals dead;
  dead.Add({"b", "f"});
  const std::shared_ptr<const DeadIntervalMap> before = dead.proven();
  dead.OnCreated("c");
  dead.Add({"x", "y"});
  EXPECT_THAT(*before, ElementsAre(Pair("b", "f")));
}

TEST(DeadIntervalsTest, ASecondViewProvesWhatAFirstOneSaw) {
  DeadIntervals dead;
  dead.OnViewed({"b", "f"}, /*viewed=*/raft::LogIndex(8), kNow);
  EXPECT_THAT(*dead.proven(), IsEmpty()) << "keys may have been created after index 8";
  dead.OnViewed({"b", "f"}, /*viewed=*/raft::LogIndex(9), kNow);
  EXPECT_THAT(*dead.proven(), IsEmpty()) << "nor was this one taken after the first was told";
  dead.OnViewed({"c", "g"}, /*viewed=*/kNow, raft::LogIndex(12));
  EXPECT_THAT(*dead.proven(), ElementsAre(Pair("c", "f")));
}

TEST(DeadIntervalsTest, AKeyCreatedBetweenTwoViewsLeavesNothingProven) {
  DeadIntervals dead;
  dead.OnViewed({"b", "f"}, raft::LogIndex(8), kNow);
  dead.OnCreated("c");
  dead.OnViewed({"b", "f"}, kNow, raft::LogIndex(12));
  EXPECT_THAT(*dead.proven(), IsEmpty());
}

// Beside a model that knows each key.
TEST(DeadIntervalsTest, NoLivingKeyIsEverInside) {
  Rng rng(1);
  std::set<std::string> living;
  DeadIntervals dead;
  const auto key = [&rng] { return std::to_string(1000 + rng.Below(3000)); };
  for (int step = 0; step < 20'000; ++step) {
    if (rng.Below(3) > 0) {
      const std::string created = key();
      if (living.insert(created).second) {
        dead.OnCreated(created);
      }
    } else {
      const std::string start = key();
      const std::string end = std::to_string(std::stoi(start) + 1 + static_cast<int>(rng.Below(9)));
      living.erase(living.lower_bound(start), living.lower_bound(end));
      dead.Add({start, end});
    }
    ASSERT_LE(dead.proven()->size(), 256u);
    std::string last;
    for (const auto& [start, end] : *dead.proven()) {
      ASSERT_LT(last, start) << "two touch";
      ASSERT_LT(start, end);
      last = end;
      const auto inside = living.lower_bound(start);
      ASSERT_TRUE(inside == living.end() || *inside >= end) << *inside << " lives";
    }
  }
}

}  // namespace
}  // namespace raftkv::storage
