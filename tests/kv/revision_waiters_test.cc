#include "kv/revision_waiters.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/deadline.h"

namespace raftkv::kv {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

RevisionWaiters::Waiter Waiter(int64_t awaited, MonotonicNanos deadline) {
  return {.awaited = awaited, .deadline = deadline, .done = [](const absl::Status&) {}};
}

bool Add(RevisionWaiters* waiters, RevisionWaiters::Waiter waiter) { return waiters->Add(&waiter); }

std::vector<int64_t> Revisions(const std::vector<RevisionWaiters::Waiter>& waiters) {
  std::vector<int64_t> revisions;
  for (const RevisionWaiters::Waiter& waiter : waiters) {
    revisions.push_back(waiter.awaited);
  }
  return revisions;
}

TEST(RevisionWaitersTest, EachIsTakenOnceForWhatComesFirst) {
  RevisionWaiters waiters(10);
  ASSERT_TRUE(Add(&waiters, Waiter(5, 100)));
  ASSERT_TRUE(Add(&waiters, Waiter(3, 100)));
  ASSERT_TRUE(Add(&waiters, Waiter(9, 50)));
  ASSERT_TRUE(Add(&waiters, Waiter(7, kNever)));
  ASSERT_TRUE(Add(&waiters, Waiter(6, 200)));
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
  EXPECT_TRUE(Add(&waiters, Waiter(1, 1)));
  EXPECT_TRUE(Add(&waiters, Waiter(2, 1)));
  RevisionWaiters::Waiter refused = Waiter(3, 1);
  EXPECT_FALSE(waiters.Add(&refused));
  EXPECT_TRUE(refused.done) << "it is left as it was";
  EXPECT_THAT(Revisions(waiters.TakeReached(1)), ElementsAre(1));
  EXPECT_TRUE(Add(&waiters, Waiter(3, 1)));
}

}  // namespace
}  // namespace raftkv::kv
