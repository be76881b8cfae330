// How much of the history is kept. What goes into it is tried on the real store (tests/storage).
#include "kv/history.h"

#include <gtest/gtest.h>

namespace raftkv::kv {
namespace {

using raft::ClusterMillis;

constexpr HistoryLimits kLimits{
    .age_ms = 800, .bytes = 8000, .events = 80, .previous_bytes = 100, .segments = 8};

// As HistoryRecorder notes them.
void AddEvents(uint64_t events, uint64_t bytes, uint64_t stamp, HistoryState* state) {
  HistorySegment& open = state->open;
  const int64_t revision = state->last() + 1;
  if (open.events == 0) {
    open.began = ClusterMillis(stamp);
  }
  open.ended = ClusterMillis(stamp);
  open.events += events;
  open.bytes += bytes;
  open.last_revision = revision;
  MoveHistory(kLimits, ClusterMillis(stamp), state);
}

TEST(HistoryTest, BeginsWithNothing) {
  const HistoryState state = BeginHistory(7);
  EXPECT_EQ(state.compacted, 7);
  EXPECT_EQ(state.readable, 7);
  EXPECT_EQ(state.mark(), 7);
  EXPECT_EQ(state.last(), 7);
}

TEST(HistoryTest, ASegmentEndsByAgeBytesOrEvents) {
  HistoryState state = BeginHistory(0);
  AddEvents(1, 10, 1000, &state);
  AddEvents(1, 10, 1099, &state);
  EXPECT_TRUE(state.closed.empty());
  AddEvents(1, 10, 1100, &state);
  ASSERT_EQ(state.closed.size(), 1u);
  EXPECT_EQ(state.mark(), 3);
  AddEvents(1, 1000, 1100, &state);
  EXPECT_EQ(state.closed.size(), 2u);
  AddEvents(10, 10, 1100, &state);
  EXPECT_EQ(state.closed.size(), 3u);
  EXPECT_EQ(state.compacted, 0) << "nothing is old or too much";
}

TEST(HistoryTest, WhatIsTooOldGoesByWholeSegments) {
  HistoryState state = BeginHistory(0);
  AddEvents(1, 10, 1000, &state);
  AddEvents(1, 10, 1100, &state);
  AddEvents(1, 10, 1200, &state);
  MoveHistory(kLimits, ClusterMillis(1899), &state);
  EXPECT_EQ(state.compacted, 0);
  MoveHistory(kLimits, ClusterMillis(1900), &state);
  EXPECT_EQ(state.compacted, 2) << "1100 is 800 ms ago";
  EXPECT_EQ(state.removed, 2);
  MoveHistory(kLimits, ClusterMillis(2000), &state);
  EXPECT_EQ(state.compacted, 3) << "also the open one, once it is old";
  EXPECT_EQ(state.events(), 0u);
}

TEST(HistoryTest, WhatIsTooMuchGoes) {
  HistoryState state = BeginHistory(0);
  for (int i = 0; i < 100; ++i) {
    AddEvents(1, 900, 1000, &state);
    EXPECT_LE(state.bytes(), kLimits.bytes);
    EXPECT_LE(state.closed.size(), 3 * kLimits.segments + 1);
  }
  EXPECT_GT(state.compacted, 90);
  HistoryState many = BeginHistory(0);
  for (int i = 0; i < 100; ++i) {
    AddEvents(9, 1, 1000, &many);
    EXPECT_LE(many.events(), kLimits.events);
  }
  EXPECT_GT(many.compacted, 80);
}

TEST(HistoryTest, CompactionForbidsAtOnceAndRemovesWholeSegments) {
  HistoryState state = BeginHistory(0);
  AddEvents(1, 1000, 1000, &state);
  AddEvents(1, 10, 1000, &state);
  AddEvents(1, 10, 1000, &state);
  CompactHistory(2, &state);
  EXPECT_EQ(state.compacted, 2);
  EXPECT_EQ(state.readable, 2);
  EXPECT_EQ(state.removed, 1) << "the second segment has revision 3";
  EXPECT_EQ(state.events(), 2u);
  CompactHistory(3, &state);
  EXPECT_EQ(state.removed, 3);
  EXPECT_EQ(state.events(), 0u);
  EXPECT_EQ(state.mark(), 3) << "records up to it have no event any more";
}

}  // namespace
}  // namespace raftkv::kv
