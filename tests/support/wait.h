// Waiting for a condition with a deadline, the only kind of waiting that tests with real processes
// do.
#pragma once

#include <chrono>
#include <thread>

namespace raftkv::integration {

using Clock = std::chrono::steady_clock;
using Millis = std::chrono::milliseconds;

// Time since `start`.
inline Millis Since(Clock::time_point start) {
  return std::chrono::duration_cast<Millis>(Clock::now() - start);
}

// Asks `condition` every `interval` until it holds or `timeout` has passed; returns whether it
// held. Asks at least once.
template <typename Condition>
[[nodiscard]] bool WaitUntil(Millis timeout, Condition condition, Millis interval = Millis(20)) {
  const Clock::time_point deadline = Clock::now() + timeout;
  while (!condition()) {
    if (Clock::now() >= deadline) {
      return false;
    }
    std::this_thread::sleep_for(interval);
  }
  return true;
}

}  // namespace raftkv::integration
