// That a shifted clock is one: without this, a clock that nobody sees jump would only make every
// run of chaos pass.
#include "tests/support/shifted_clock.h"

#include <gtest/gtest.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/wait.h"

namespace raftkv::integration {
namespace {

constexpr int64_t kHour = 3600;
// What may pass between two readings on a busy machine.
constexpr int64_t kNearSeconds = 5;
constexpr Millis kSoon(5000);

timespec Read(clockid_t clock) {
  timespec time{};
  EXPECT_EQ(clock_gettime(clock, &time), 0);
  return time;
}

timespec InSeconds(int64_t seconds) {
  timespec time = Read(CLOCK_REALTIME);
  time.tv_sec += seconds;
  return time;
}

// What this process has in its environment since main.
class ShiftedClockTest : public testing::Test {
 protected:
  ~ShiftedClockTest() override { clock_.Step(start_ - time(nullptr)); }

  // Steps the clock to the end of a wait for an hour, and expects the wait to notice.
  template <typename Wait>
  void ExpectWaitFollowsStep(Wait wait) {
    const timespec end = InSeconds(kHour);
    const Clock::time_point begin = Clock::now();
    std::thread stepper([this] {
      std::this_thread::sleep_for(Millis(100));
      clock_.Step(kHour);
    });
    while (wait(&end) != ETIMEDOUT) {
    }
    stepper.join();
    EXPECT_GE(Since(begin), Millis(100));
    EXPECT_LT(Since(begin), kSoon);
  }

  ShiftedClock clock_{getenv("SHIFTED_CLOCK")};
  const time_t start_ = time(nullptr);
};

TEST_F(ShiftedClockTest, EveryWallClockJumpsAndTheMonotonicClockDoesNot) {
  const time_t monotonic = Read(CLOCK_MONOTONIC).tv_sec;
  for (const int64_t step : {kHour, -2 * kHour}) {
    const time_t before = time(nullptr);
    clock_.Step(step);
    timeval day{};
    gettimeofday(&day, nullptr);
    for (const time_t now : {time(nullptr), day.tv_sec, Read(CLOCK_REALTIME).tv_sec,
                             Read(CLOCK_REALTIME_COARSE).tv_sec}) {
      EXPECT_NEAR(now, before + step, kNearSeconds);
    }
  }
  EXPECT_NEAR(Read(CLOCK_MONOTONIC).tv_sec, monotonic, kNearSeconds);
  EXPECT_GT(clock_.readings(), 0U);
}

TEST_F(ShiftedClockTest, ASlewedClockGains) {
  const auto since = [](const timespec& from) {
    const timespec now = Read(CLOCK_REALTIME);
    return static_cast<double>(now.tv_sec - from.tv_sec) +
           static_cast<double>(now.tv_nsec - from.tv_nsec) / 1e9;
  };
  const timespec begin = Read(CLOCK_REALTIME);
  const Clock::time_point true_begin = Clock::now();
  clock_.Slew(1'000'000);
  std::this_thread::sleep_for(Millis(300));
  clock_.Slew(0);
  const double elapsed = since(begin);
  EXPECT_GE(elapsed, 0.6);
  EXPECT_LE(elapsed, 2 * static_cast<double>(Since(true_begin).count() + 1) / 1e3);
}

TEST_F(ShiftedClockTest, AFutexWaitFollowsAStep) {
  uint32_t futex = 0;
  ExpectWaitFollowsStep([&](const timespec* end) {
    return syscall(SYS_futex, &futex, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 0, end,
                   nullptr, FUTEX_BITSET_MATCH_ANY) == 0
               ? 0
               : errno;
  });
}

TEST_F(ShiftedClockTest, AWaitOnAConditionFollowsAStep) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
  pthread_mutex_lock(&mutex);
  ExpectWaitFollowsStep(
      [&](const timespec* end) { return pthread_cond_timedwait(&cond, &mutex, end); });
  pthread_mutex_unlock(&mutex);
}

TEST_F(ShiftedClockTest, AWaitOnASemaphoreFollowsAStep) {
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  ExpectWaitFollowsStep(
      [&](const timespec* end) { return sem_timedwait(&semaphore, end) == 0 ? 0 : errno; });
}

TEST_F(ShiftedClockTest, AWaitByTheMonotonicClockDoesNot) {
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
  clock_.Step(-kHour);
  timespec end = Read(CLOCK_MONOTONIC);
  end.tv_sec += 1;
  const Clock::time_point begin = Clock::now();
  pthread_mutex_lock(&mutex);
  while (pthread_cond_clockwait(&cond, &mutex, CLOCK_MONOTONIC, &end) != ETIMEDOUT) {
  }
  pthread_mutex_unlock(&mutex);
  EXPECT_LT(Since(begin), kSoon);
}

}  // namespace
}  // namespace raftkv::integration

// Runs itself again with the library preloaded.
int main(int argc, char** argv) {
  if (getenv("SHIFTED_CLOCK") == nullptr) {
    const raftkv::integration::TempDir dir;
    setenv("SHIFTED_CLOCK", dir.File("clock").c_str(), /*overwrite=*/1);
    const raftkv::integration::CommandResult run =
        raftkv::integration::RunCommand({"/proc/self/exe"}, "", {"LD_PRELOAD=" SHIFTED_CLOCK_PATH});
    std::cout << run.out << run.err;
    return run.exit.code;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
