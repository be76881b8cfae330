#include "server/loop/event_loop.h"

#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/fake_clock.h"

namespace raftkv::server {
namespace {

// A clock on which the first tick is a thousand hours away: only an event can end a wait.
class FarTickClock final : public MonotonicClock {
 public:
  MonotonicNanos Now() const override {
    return std::exchange(asked_, true) ? 0 : 1000 * 3600 * kNanosPerSecond;
  }

 private:
  mutable bool asked_ = false;
};

class EventLoopTest : public testing::Test {
 protected:
  void SetUpLoop(const MonotonicClock* clock) {
    loop_ = std::make_unique<EventLoop>(builder_.AddCompletionQueue(),
                                        builder_.AddCompletionQueue(), clock);
  }
  void TearDown() override {
    if (!drained_) {
      Drain();
    }
  }
  void Drain() {
    loop_->DrainQueues();
    drained_ = true;
  }

  // Runs the loop until `on_turn` has stopped it.
  void Run(std::function<bool()> on_turn) {
    loop_->Run({.on_tick = [this] { ++ticks_; }, .on_turn = std::move(on_turn)});
  }

  grpc::ServerBuilder builder_;
  std::unique_ptr<EventLoop> loop_;
  bool drained_ = false;
  int ticks_ = 0;
};

TEST_F(EventLoopTest, PostedTasksRunInOrder) {
  const FarTickClock clock;
  SetUpLoop(&clock);
  std::string order;
  for (const char c : {'a', 'b', 'c'}) {
    loop_->Post([&order, c] { order.push_back(c); });
  }
  loop_->Post([this] { loop_->Stop(); });
  loop_->Post([&order] { order.push_back('d'); });
  Run([&order] {
    order.push_back('.');
    return false;
  });
  EXPECT_EQ(order, "abcd.") << "the turn is finished, and no other begins";
}

TEST_F(EventLoopTest, WhatATaskPostsRunsInALaterTurn) {
  const FarTickClock clock;
  SetUpLoop(&clock);
  std::string order;
  loop_->Post([this, &order] {
    order.push_back('a');
    loop_->Post([this, &order] {
      order.push_back('b');
      loop_->Stop();
    });
  });
  Run([&order] {
    order.push_back('.');
    return false;
  });
  EXPECT_EQ(order, "a.b.");
}

TEST_F(EventLoopTest, AWakeFromAnotherThreadEndsTheWait) {
  constexpr int kWakes = 100;
  const FarTickClock clock;
  SetUpLoop(&clock);
  Mutex mutex;
  CondVar changed;
  int turns = 0;
  std::thread waker([&] {
    for (int wakes = 1; wakes <= kWakes; ++wakes) {
      mutex.Lock();
      const int before = turns;
      mutex.Unlock();
      loop_->Wake();
      MutexLock lock(&mutex);
      while (turns == before) {
        changed.Wait(&mutex);
      }
    }
    loop_->Post([this] { loop_->Stop(); });
  });
  Run([&] {
    MutexLock lock(&mutex);
    ++turns;
    changed.NotifyAll();
    return false;
  });
  waker.join();
  EXPECT_GE(turns, kWakes);
  EXPECT_EQ(ticks_, 0);
}

TEST_F(EventLoopTest, NoPostIsLostAndEachThreadKeepsItsOrder) {
  constexpr size_t kThreads = 4;
  constexpr int kPosts = 2000;
  const FarTickClock clock;
  SetUpLoop(&clock);
  std::vector<int> next(kThreads, 0);
  size_t done = 0;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      for (int number = 0; number < kPosts; ++number) {
        loop_->Post([&, i, number] {
          EXPECT_EQ(next[i], number);
          next[i] = number + 1;
          done += number + 1 == kPosts ? 1 : 0;
        });
      }
    });
  }
  Run([&] {
    if (done == kThreads) {
      loop_->Stop();
    }
    return false;
  });
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(next, std::vector<int>(kThreads, kPosts));
}

TEST_F(EventLoopTest, WhileThereIsMoreWorkItDoesNotWait) {
  const FarTickClock clock;
  SetUpLoop(&clock);
  int turns = 0;
  loop_->Wake();
  Run([this, &turns] {
    if (++turns == 1000) {
      loop_->Stop();
    }
    return true;
  });
  EXPECT_EQ(turns, 1000);
}

// Lets time pass at the end of each turn, in milliseconds, and counts the ticks that each turn saw.
class TickTest : public EventLoopTest {
 protected:
  std::vector<int> TicksAfter(const std::vector<int>& elapsed_ms) {
    FakeClock clock;
    SetUpLoop(&clock);
    std::vector<int> seen;
    size_t turn = 0;
    Run([&] {
      if (turn > 0) {
        seen.push_back(std::exchange(ticks_, 0));
      }
      if (turn == elapsed_ms.size()) {
        loop_->Stop();
      } else {
        clock.Advance(elapsed_ms[turn] * kNanosPerMilli);
      }
      ++turn;
      return true;
    });
    return seen;
  }
};

TEST_F(TickTest, ComesEveryTenMilliseconds) {
  EXPECT_EQ(TicksAfter({9, 1, 9, 1, 10, 10}), (std::vector<int>{0, 1, 0, 1, 1, 1}));
}

TEST_F(TickTest, ALittleLatenessDoesNotShiftTheRhythm) {
  EXPECT_EQ(TicksAfter({13, 6, 1, 9, 1}), (std::vector<int>{1, 0, 1, 0, 1}));
}

TEST_F(TickTest, MissedTicksAreNotMadeUpFor) {
  // A process that was stopped for five seconds ticks once; the next tick is at least half a tick
  // away.
  EXPECT_EQ(TicksAfter({5000, 0, 4, 1, 9, 1}), (std::vector<int>{1, 0, 0, 1, 0, 1}));
}

class RecordingTag final : public EventTag {
 public:
  void OnEvent(bool ok) override { seen.push_back(ok); }
  void OnLeftOver(bool ok) override { left_over.push_back(ok); }
  std::vector<bool> seen;
  std::vector<bool> left_over;
};

gpr_timespec AtOnce() { return gpr_inf_past(GPR_CLOCK_MONOTONIC); }

TEST_F(EventLoopTest, AnnouncementsWaitForTheTick) {
  FakeClock clock;
  SetUpLoop(&clock);
  RecordingTag announced;
  RecordingTag event;
  grpc::Alarm announcement_alarm;
  grpc::Alarm event_alarm;
  announcement_alarm.Set(loop_->announcements(), AtOnce(), &announced);
  event_alarm.Set(loop_->queue(), AtOnce(), &event);
  size_t announced_before_tick = 0;
  Run([&] {
    if (ticks_ == 0) {
      announced_before_tick = announced.seen.size();
    }
    if (!event.seen.empty()) {
      clock.Advance(EventLoop::kTick);
    }
    if (!announced.seen.empty()) {
      loop_->Stop();
    }
    return false;
  });
  EXPECT_EQ(event.seen, std::vector<bool>{true});
  EXPECT_EQ(announced_before_tick, 0u);
  EXPECT_EQ(announced.seen, std::vector<bool>{true});
}

// Not as events, whose handlers would begin operations on queues that take none any more.
TEST_F(EventLoopTest, DrainingDeliversWhatIsLeftAsLeftOver) {
  const FarTickClock clock;
  SetUpLoop(&clock);
  RecordingTag left;
  RecordingTag announced;
  grpc::Alarm alarm;
  grpc::Alarm announcement_alarm;
  alarm.Set(loop_->queue(), gpr_inf_future(GPR_CLOCK_MONOTONIC), &left);
  announcement_alarm.Set(loop_->announcements(), gpr_inf_future(GPR_CLOCK_MONOTONIC), &announced);
  alarm.Cancel();
  announcement_alarm.Cancel();
  Drain();
  EXPECT_EQ(left.left_over, std::vector<bool>{false});
  EXPECT_EQ(announced.left_over, std::vector<bool>{false});
  EXPECT_TRUE(left.seen.empty());
  EXPECT_TRUE(announced.seen.empty());
}

// A wake that was still under way must not open the door for later ones: arming the alarm on a
// queue that is shut down ends the process.
TEST_F(EventLoopTest, AWakeAfterDrainingDoesNothing) {
  const FarTickClock clock;
  SetUpLoop(&clock);
  loop_->Wake();
  Drain();
  loop_->Wake();
  loop_->Post([] { ADD_FAILURE() << "ran after draining"; });
}

}  // namespace
}  // namespace raftkv::server
