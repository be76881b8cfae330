// Mostly for ThreadSanitizer, which must see the locks as locks.
#include "base/mutex.h"

#include <gtest/gtest.h>

#include <deque>
#include <thread>
#include <vector>

namespace raftkv {
namespace {

TEST(MutexTest, OneHolderAtATime) {
  constexpr int kThreads = 4;
  constexpr int kRounds = 5000;
  Mutex mutex;
  int counter = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&mutex, &counter] {
      for (int round = 0; round < kRounds; ++round) {
        MutexLock lock(&mutex);
        ++counter;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  MutexLock lock(&mutex);
  EXPECT_EQ(counter, kThreads * kRounds);
}

// Several waiters must all wake; the main thread can take the lock because waiting lets go of it.
TEST(CondVarTest, NotifyAllWakesEveryWaiter) {
  constexpr int kThreads = 4;
  Mutex mutex;
  CondVar changed;
  int waiting = 0;
  bool go = false;
  int woken = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      MutexLock lock(&mutex);
      ++waiting;
      changed.NotifyAll();
      while (!go) {
        changed.Wait(&mutex);
      }
      ++woken;
    });
  }
  {
    MutexLock lock(&mutex);
    while (waiting < kThreads) {
      changed.Wait(&mutex);
    }
    go = true;
  }
  changed.NotifyAll();
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(woken, kThreads);
}

TEST(CondVarTest, HandsItemsFromThreadToThread) {
  constexpr int kItems = 2000;
  Mutex mutex;
  CondVar changed;
  std::deque<int> items;
  std::thread producer([&] {
    for (int i = 0; i < kItems; ++i) {
      {
        MutexLock lock(&mutex);
        items.push_back(i);
      }
      changed.NotifyOne();
    }
  });
  for (int expected = 0; expected < kItems; ++expected) {
    MutexLock lock(&mutex);
    while (items.empty()) {
      changed.Wait(&mutex);
    }
    EXPECT_EQ(items.front(), expected);
    items.pop_front();
  }
  producer.join();
}

TEST(CondVarTest, WaitForEndsByItself) {
  Mutex mutex;
  CondVar changed;
  const SystemMonotonicClock clock;
  const MonotonicNanos begin = clock.Now();
  MutexLock lock(&mutex);
  while (clock.Now() < begin + kNanosPerMilli) {
    changed.WaitFor(&mutex, kNanosPerMilli);
  }
}

TEST(CondVarTest, WaitForIsWoken) {
  Mutex mutex;
  CondVar changed;
  bool go = false;
  std::thread other([&] {
    MutexLock lock(&mutex);
    go = true;
    changed.NotifyOne();
  });
  const SystemMonotonicClock clock;
  const MonotonicNanos begin = clock.Now();
  {
    MutexLock lock(&mutex);
    while (!go) {
      changed.WaitFor(&mutex, 600 * kNanosPerSecond);
    }
  }
  other.join();
  EXPECT_LT(clock.Now() - begin, 600 * kNanosPerSecond);
}

}  // namespace
}  // namespace raftkv
