#include "server/loop/answer_backlog.h"

#include <gtest/gtest.h>

#include "server/limits.h"

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kLater = 1000;

TEST(AnswerBacklogTest, RefusesBeyondItsBoundUntilAnAnswerHasLeft) {
  AnswerBacklog backlog(3 * kMiB);
  const auto first = backlog.Add(2 * kMiB, kLater, [] {});
  EXPECT_TRUE(backlog.HasRoomFor(kMiB));
  EXPECT_FALSE(backlog.HasRoomFor(kMiB + 1));
  const auto second = backlog.Add(kMiB, kLater, [] {});
  EXPECT_EQ(backlog.bytes(), 3 * kMiB);
  EXPECT_FALSE(backlog.HasRoomFor(kSmallAnswerBytes));
  backlog.Remove(first);
  EXPECT_TRUE(backlog.HasRoomFor(2 * kMiB));
  backlog.Remove(second);
  EXPECT_EQ(backlog.bytes(), 0u);
}

TEST(AnswerBacklogTest, SmallAnswersAlwaysPass) {
  AnswerBacklog backlog(kMiB);
  backlog.Add(kMiB, kLater, [] {});
  EXPECT_TRUE(backlog.HasRoomFor(kSmallAnswerBytes - 1));
  EXPECT_FALSE(backlog.HasRoomFor(kSmallAnswerBytes));
}

TEST(AnswerBacklogTest, GivesUpWhatWasNotTakenInTimeAndCountsItUntilItIsGone) {
  AnswerBacklog backlog(4 * kMiB);
  int given_up = 0;
  const auto late = backlog.Add(kMiB, 2 * kLater, [] { FAIL() << "there is time left"; });
  const auto due = backlog.Add(kMiB, kLater, [&] { ++given_up; });
  backlog.Tick(kLater - 1);
  EXPECT_EQ(given_up, 0);
  backlog.Tick(kLater);
  EXPECT_EQ(given_up, 1);
  EXPECT_EQ(backlog.bytes(), 2 * kMiB);
  backlog.Remove(due);
  EXPECT_EQ(backlog.bytes(), kMiB);
  backlog.Tick(kLater);
  EXPECT_EQ(given_up, 1);
  backlog.Remove(late);
}

}  // namespace
}  // namespace raftkv::server
