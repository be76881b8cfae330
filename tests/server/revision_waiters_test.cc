#include "server/revision_waiters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/deadline.h"

namespace raftkv::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

RevisionWaiters::Waiter Waiter(int64_t min_revision, MonotonicNanos deadline) {
  return {.call = nullptr, .min_revision = min_revision, .deadline = deadline, .read = [] {}};
}

std::vector<int64_t> Revisions(const std::vector<RevisionWaiters::Waiter>& waiters) {
  std::vector<int64_t> revisions;
  for (const RevisionWaiters::Waiter& waiter : waiters) {
    revisions.push_back(waiter.min_revision);
  }
  return revisions;
}

TEST(RevisionWaitersTest, EachIsTakenOnceForWhatComesFirst) {
  RevisionWaiters waiters(10);
  ASSERT_TRUE(waiters.Add(Waiter(5, 100)));
  ASSERT_TRUE(waiters.Add(Waiter(3, 100)));
  ASSERT_TRUE(waiters.Add(Waiter(9, 50)));
  ASSERT_TRUE(waiters.Add(Waiter(7, kNever)));
  ASSERT_TRUE(waiters.Add(Waiter(6, 200)));
  EXPECT_THAT(waiters.TakeReached(2), IsEmpty());
  EXPECT_THAT(waiters.TakeLate(49), IsEmpty());
  EXPECT_THAT(Revisions(waiters.TakeReached(5)), ElementsAre(3, 5));
  EXPECT_THAT(Revisions(waiters.TakeLate(100)), ElementsAre(9));
  EXPECT_THAT(waiters.TakeReached(5), IsEmpty());
  EXPECT_THAT(Revisions(waiters.TakeLate(kNever)), ElementsAre(6, 7));
  EXPECT_THAT(waiters.TakeReached(100), IsEmpty());
}

TEST(RevisionWaitersTest, NoMoreThanSoManyWait) {
  RevisionWaiters waiters(2);
  EXPECT_TRUE(waiters.Add(Waiter(1, 1)));
  EXPECT_TRUE(waiters.Add(Waiter(2, 1)));
  EXPECT_FALSE(waiters.Add(Waiter(3, 1)));
  EXPECT_THAT(Revisions(waiters.TakeReached(1)), ElementsAre(1));
  EXPECT_TRUE(waiters.Add(Waiter(3, 1)));
}

}  // namespace
}  // namespace raftkv::server
