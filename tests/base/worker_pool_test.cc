#include "base/worker_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

namespace raftkv {
namespace {

constexpr size_t kTasksMax = 4096;
using Length = WorkerPool::Length;

TEST(WorkerPoolTest, OneThreadRunsTasksInOrder) {
  constexpr int kTasks = 1000;
  std::vector<int> ran;
  std::latch done(1);
  WorkerPool pool(1, kTasksMax);
  for (int i = 0; i < kTasks; ++i) {
    ASSERT_TRUE(pool.Submit(Length::kShort, [&ran, i] { ran.push_back(i); }));
  }
  ASSERT_TRUE(pool.Submit(Length::kShort, [&done] { done.count_down(); }));
  done.wait();
  ASSERT_EQ(ran.size(), static_cast<size_t>(kTasks));
  for (int i = 0; i < kTasks; ++i) {
    EXPECT_EQ(ran[static_cast<size_t>(i)], i);
  }
}

// Each task waits for the other: with fewer threads this would never end.
TEST(WorkerPoolTest, ThreadsWorkSideBySide) {
  std::latch both(2);
  std::latch done(2);
  WorkerPool pool(2, kTasksMax);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(pool.Submit(Length::kShort, [&both, &done] {
      both.arrive_and_wait();
      done.count_down();
    }));
  }
  done.wait();
}

// Without threads nothing leaves the queue, so its bound is exact.
TEST(WorkerPoolTest, ShortTasksDoNotWaitForLongOnes) {
  std::latch release(1);
  std::latch short_done(1);
  std::atomic<int> long_done{0};
  WorkerPool pool(2, kTasksMax);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(pool.Submit(Length::kLong, [&] {
      release.wait();
      ++long_done;
    }));
  }
  ASSERT_TRUE(pool.Submit(Length::kShort, [&short_done] { short_done.count_down(); }));
  short_done.wait();
  EXPECT_EQ(long_done, 0);
  release.count_down();
  std::latch all_done(1);
  ASSERT_TRUE(pool.Submit(Length::kLong, [&all_done] { all_done.count_down(); }));
  all_done.wait();
  EXPECT_EQ(long_done, 10);
}

TEST(WorkerPoolTest, OneThreadTakesBothLengths) {
  std::latch done(2);
  WorkerPool pool(1, kTasksMax);
  ASSERT_TRUE(pool.Submit(Length::kLong, [&done] { done.count_down(); }));
  ASSERT_TRUE(pool.Submit(Length::kShort, [&done] { done.count_down(); }));
  done.wait();
}

TEST(WorkerPoolTest, RefusesBeyondItsBound) {
  const auto token = std::make_shared<int>(0);
  WorkerPool pool(0, kTasksMax);
  for (uint64_t i = 0; i < kTasksMax; ++i) {
    ASSERT_TRUE(pool.Submit(Length::kShort, [] {})) << i;
  }
  EXPECT_FALSE(pool.Submit(Length::kShort, [token] {}));
  EXPECT_EQ(token.use_count(), 1) << "a refused task is not kept";
}

TEST(WorkerPoolTest, TakesTasksAgainOnceThereIsRoom) {
  std::latch release(1);
  std::latch begun(1);
  std::latch done(1);
  WorkerPool pool(1, kTasksMax);
  ASSERT_TRUE(pool.Submit(Length::kShort, [&release, &begun] {
    begun.count_down();
    release.wait();
  }));
  begun.wait();
  for (uint64_t i = 1; i < kTasksMax; ++i) {
    ASSERT_TRUE(pool.Submit(Length::kShort, [] {})) << i;
  }
  ASSERT_TRUE(pool.Submit(Length::kShort, [&done] { done.count_down(); }));
  EXPECT_FALSE(pool.Submit(Length::kShort, [] {}));
  release.count_down();
  done.wait();
  EXPECT_TRUE(pool.Submit(Length::kShort, [] {}));
}

TEST(WorkerPoolTest, StopDropsWhatHasNotBegun) {
  const auto token = std::make_shared<int>(0);
  int ran = 0;
  WorkerPool pool(0, kTasksMax);
  ASSERT_TRUE(pool.Submit(Length::kShort, [token, &ran] { ++ran; }));
  EXPECT_EQ(token.use_count(), 2);
  pool.Stop();
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(token.use_count(), 1);
}

TEST(WorkerPoolTest, StopWaitsForWhatHasBegun) {
  std::latch begun(1);
  std::latch release(1);
  std::atomic<bool> finished = false;
  WorkerPool pool(1, kTasksMax);
  ASSERT_TRUE(pool.Submit(Length::kShort, [&] {
    begun.count_down();
    release.wait();
    finished = true;
  }));
  begun.wait();
  std::thread releaser([&release] { release.count_down(); });
  pool.Stop();
  EXPECT_TRUE(finished);
  releaser.join();
}

TEST(WorkerPoolTest, AStoppedPoolRefuses) {
  WorkerPool pool(2, kTasksMax);
  pool.Stop();
  EXPECT_FALSE(pool.Submit(Length::kShort, [] { ADD_FAILURE() << "ran after the stop"; }));
  pool.Stop();
}

}  // namespace
}  // namespace raftkv
