// StateAge says how old what this member has applied may be: all that was acknowledged anywhere
// until then is in it (ADR 41).
#pragma once

#include <algorithm>
#include <optional>

#include "base/clock.h"

namespace raftkv::kv {

// Confined to the loop.
class StateAge {
 public:
  // A linearizable read that began at `asked`, on this member's clock, is ready: whatever was
  // acknowledged before that is applied here by now.
  void OnReady(MonotonicNanos asked) { fresh_at_ = std::max(fresh_at_.value_or(asked), asked); }
  // The age of what is applied, at most; nullopt: nothing is known.
  std::optional<MonotonicNanos> At(MonotonicNanos now) const {
    return fresh_at_.has_value() ? std::optional(std::max<MonotonicNanos>(0, now - *fresh_at_))
                                 : std::nullopt;
  }

 private:
  std::optional<MonotonicNanos> fresh_at_;
};

}  // namespace raftkv::kv
