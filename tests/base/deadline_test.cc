#include "base/deadline.h"

#include <gtest/gtest.h>

namespace raftkv {
namespace {

TEST(DeadlineAfterTest, AddsAndStopsAtNever) {
  EXPECT_EQ(DeadlineAfter(5, 7), 12);
  EXPECT_EQ(DeadlineAfter(5, 0), 5);
  EXPECT_EQ(DeadlineAfter(5, kNever - 6), kNever - 1);
  EXPECT_EQ(DeadlineAfter(5, kNever - 5), kNever);
  EXPECT_EQ(DeadlineAfter(5, kNever - 4), kNever);
  EXPECT_EQ(DeadlineAfter(5, kNever), kNever);
  EXPECT_EQ(DeadlineAfter(kNever, kNever), kNever);
}

}  // namespace
}  // namespace raftkv
