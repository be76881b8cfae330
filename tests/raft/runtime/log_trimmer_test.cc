#include "raft/runtime/log_trimmer.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "gtest/gtest.h"

namespace raftkv::raft {
namespace {

// A log of entries of 10 bytes each, first to last, all applied and durable. Kept are 100 entries,
// or a quarter of 8000 bytes, which is 200.
class LogTrimmerTest : public testing::Test {
 protected:
  uint64_t Through() {
    const auto first_of_newest = [this](uint64_t bytes) {
      const uint64_t entries = std::min(bytes / 10, last_ + 1 - first_);
      return LogIndex(last_ + 1 - entries);
    };
    return LogTrimThrough({.entries_kept = entries_kept_, .bytes_max = 8000},
                          {.applied = LogIndex(applied_.value_or(last_)),
                           .durable = LogIndex(durable_.value_or(last_)),
                           .held_by_all = LogIndex(held_by_all_),
                           .needed_after = needed_after_},
                          first_of_newest)
        .value();
  }

  uint64_t entries_kept_ = 100;
  uint64_t first_ = 1;
  uint64_t last_ = 500;
  uint64_t held_by_all_ = 500;
  std::optional<uint64_t> applied_;
  std::optional<uint64_t> durable_;
  std::vector<LogIndex> needed_after_;
};

TEST_F(LogTrimmerTest, WhatAllHoldGoesButForTheNewest) { EXPECT_EQ(Through(), 400u); }

TEST_F(LogTrimmerTest, KeepsAQuarterOfTheBytesWhenThatIsLess) {
  entries_kept_ = 300;
  EXPECT_EQ(Through(), 300u);
}

TEST_F(LogTrimmerTest, WhatAMemberMayLackStays) {
  held_by_all_ = 250;
  EXPECT_EQ(Through(), 250u);
  held_by_all_ = 0;
  EXPECT_EQ(Through(), 0u) << "nothing is known";
}

TEST_F(LogTrimmerTest, WhatIsNotAppliedOrNotDurableStays) {
  applied_ = 250;
  EXPECT_EQ(Through(), 250u) << "that is more than 200 entries";
  applied_ = std::nullopt;
  durable_ = 240;
  EXPECT_EQ(Through(), 240u);
  applied_ = 5;
  EXPECT_EQ(Through(), 0u);
}

TEST_F(LogTrimmerTest, BeyondTheBytesMoreGoesWhateverAMemberLacks) {
  last_ = 900;
  held_by_all_ = 3;
  EXPECT_EQ(Through(), 100u) << "8000 bytes stay";
  applied_ = 90;
  EXPECT_EQ(Through(), 90u) << "but never what is not applied";
  applied_ = std::nullopt;
  last_ = 799;
  EXPECT_EQ(Through(), 0u) << "nor is it beyond them";
}

TEST_F(LogTrimmerTest, WhatFollowsASnapshotUnderWayStays) {
  needed_after_ = {LogIndex(200)};
  EXPECT_EQ(Through(), 200u);
  last_ = 1500;
  held_by_all_ = 3;
  EXPECT_EQ(Through(), 200u) << "although the log takes more than 8000 bytes";
  needed_after_ = {LogIndex(300), LogIndex(200), LogIndex(400)};
  EXPECT_EQ(Through(), 200u);
  needed_after_ = {LogIndex(0)};
  EXPECT_EQ(Through(), 0u);
}

TEST_F(LogTrimmerTest, ButNotWhenThatTakesTwiceAsMuch) {
  needed_after_ = {LogIndex(200)};
  held_by_all_ = 3;
  last_ = 1800;
  EXPECT_EQ(Through(), 200u) << "what stands before it goes";
  last_ = 1801;
  EXPECT_EQ(Through(), 1001u) << "8000 bytes stay";
}

TEST_F(LogTrimmerTest, OneThatNeedsTooMuchTakesNothingFromTheOthers) {
  needed_after_ = {LogIndex(200), LogIndex(900), LogIndex(950)};
  held_by_all_ = 3;
  last_ = 1801;
  EXPECT_EQ(Through(), 900u);
}

TEST_F(LogTrimmerTest, TakesNotLittleAway) {
  first_ = 395;
  EXPECT_EQ(Through(), 400u) << "a sixteenth of 100";
  first_ = 396;
  EXPECT_EQ(Through(), 0u);
  entries_kept_ = 100'000;
  last_ = held_by_all_ = 2000;
  first_ = 1;
  EXPECT_EQ(Through(), 1800u) << "1000 at most are waited for";
  first_ = 801;
  EXPECT_EQ(Through(), 1800u);
  last_ = held_by_all_ = 1700;
  first_ = 1000;
  EXPECT_EQ(Through(), 0u);
}

TEST_F(LogTrimmerTest, TakesLittleAwayFromALogThatIsTooLargeByASixteenth) {
  entries_kept_ = 100'000;
  held_by_all_ = 0;
  last_ = 850;
  EXPECT_EQ(Through(), 0u);
  last_ = 851;
  EXPECT_EQ(Through(), 51u);
}

TEST_F(LogTrimmerTest, AnEmptyLogStays) {
  first_ = 501;
  EXPECT_EQ(Through(), 0u);
  first_ = last_ + 1;
  last_ = held_by_all_ = first_ - 1;
  EXPECT_EQ(Through(), 0u);
}

}  // namespace
}  // namespace raftkv::raft
