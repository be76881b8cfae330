// The only ways to ask for the time, so that tests and simulations can supply it.
#pragma once

#include <chrono>
#include <cstdint>

namespace raftkv {

// A point on a node's monotonic clock, in nanoseconds since an arbitrary origin. Comparable only on
// one node, within one process.
using MonotonicNanos = int64_t;

inline constexpr MonotonicNanos kNanosPerMilli = 1'000'000;
inline constexpr MonotonicNanos kNanosPerSecond = 1'000'000'000;

// A clock that never goes back and that wall clock changes do not touch. Thread-safe.
class MonotonicClock {
 public:
  virtual ~MonotonicClock() = default;
  virtual MonotonicNanos Now() const = 0;
};

// The machine's monotonic clock. Thread-safe.
class SystemMonotonicClock final : public MonotonicClock {
 public:
  MonotonicNanos Now() const override {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }
};

}  // namespace raftkv
