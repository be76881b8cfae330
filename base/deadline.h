// When the time that was given for something is over. Clients say how much they give, so it may be
// more than a clock can count.
#pragma once

#include <limits>

#include "base/clock.h"

namespace raftkv {

// Later than every moment.
inline constexpr MonotonicNanos kNever = std::numeric_limits<MonotonicNanos>::max();

// The moment `wait` after `from`; kNever when the clock cannot count so far. REQUIRES: both are at
// least 0.
constexpr MonotonicNanos DeadlineAfter(MonotonicNanos from, MonotonicNanos wait) {
  return wait >= kNever - from ? kNever : from + wait;
}

}  // namespace raftkv
