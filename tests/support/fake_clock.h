// A clock that moves when a test says so.
#pragma once

#include "base/clock.h"

namespace raftkv {

// Confined to one thread.
class FakeClock final : public MonotonicClock {
 public:
  MonotonicNanos Now() const override { return now_; }
  void Advance(MonotonicNanos by) { now_ += by; }

 private:
  // Not 0: code that takes 0 for "never" shows.
  MonotonicNanos now_ = 1'000 * kNanosPerSecond;
};

}  // namespace raftkv
