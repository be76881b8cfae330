#include "server/read_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

#include "server/limits.h"

namespace raftkv::server {
namespace {

TEST(ReadPoolTest, OneThreadRunsTasksInOrder) {
  constexpr int kTasks = 1000;
  std::vector<int> ran;
  std::latch done(1);
  ReadPool pool(1);
  for (int i = 0; i < kTasks; ++i) {
    ASSERT_TRUE(pool.Submit([&ran, i] { ran.push_back(i); }));
  }
  ASSERT_TRUE(pool.Submit([&done] { done.count_down(); }));
  done.wait();
  ASSERT_EQ(ran.size(), static_cast<size_t>(kTasks));
  for (int i = 0; i < kTasks; ++i) {
    EXPECT_EQ(ran[static_cast<size_t>(i)], i);
  }
}

// Each task waits for the other: with fewer threads this would never end.
TEST(ReadPoolTest, ThreadsWorkSideBySide) {
  std::latch both(2);
  std::latch done(2);
  ReadPool pool(2);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(pool.Submit([&both, &done] {
      both.arrive_and_wait();
      done.count_down();
    }));
  }
  done.wait();
}

// Without threads nothing leaves the queue, so its bound is exact.
TEST(ReadPoolTest, RefusesBeyondItsBound) {
  const auto token = std::make_shared<int>(0);
  ReadPool pool(0);
  for (uint64_t i = 0; i < kPoolTasksMax; ++i) {
    ASSERT_TRUE(pool.Submit([] {})) << i;
  }
  EXPECT_FALSE(pool.Submit([token] {}));
  EXPECT_EQ(token.use_count(), 1) << "a refused task is not kept";
}

TEST(ReadPoolTest, TakesTasksAgainOnceThereIsRoom) {
  std::latch release(1);
  std::latch begun(1);
  std::latch done(1);
  ReadPool pool(1);
  ASSERT_TRUE(pool.Submit([&release, &begun] {
    begun.count_down();
    release.wait();
  }));
  begun.wait();
  for (uint64_t i = 1; i < kPoolTasksMax; ++i) {
    ASSERT_TRUE(pool.Submit([] {})) << i;
  }
  ASSERT_TRUE(pool.Submit([&done] { done.count_down(); }));
  EXPECT_FALSE(pool.Submit([] {}));
  release.count_down();
  done.wait();
  EXPECT_TRUE(pool.Submit([] {}));
}

TEST(ReadPoolTest, StopDropsWhatHasNotBegun) {
  const auto token = std::make_shared<int>(0);
  int ran = 0;
  ReadPool pool(0);
  ASSERT_TRUE(pool.Submit([token, &ran] { ++ran; }));
  EXPECT_EQ(token.use_count(), 2);
  pool.Stop();
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(token.use_count(), 1);
}

TEST(ReadPoolTest, StopWaitsForWhatHasBegun) {
  std::latch begun(1);
  std::latch release(1);
  std::atomic<bool> finished = false;
  ReadPool pool(1);
  ASSERT_TRUE(pool.Submit([&] {
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

TEST(ReadPoolTest, AStoppedPoolRefuses) {
  ReadPool pool(2);
  pool.Stop();
  EXPECT_FALSE(pool.Submit([] { ADD_FAILURE() << "ran after the stop"; }));
  pool.Stop();
}

}  // namespace
}  // namespace raftkv::server
