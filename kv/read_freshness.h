// What a read says of the state that it is to be answered from. Store::AwaitState
// (kv/store_freshness.cc) waits until this member's is so.
#pragma once

#include <cstdint>
#include <optional>

#include "base/clock.h"

namespace raftkv::kv {

// How fresh what is read must be, and until when that is waited for.
struct ReadFreshness {
  // Everything that was committed when the read began is in what is read. Otherwise it is this
  // member's state, whatever that is.
  bool linearizable = true;
  // The revision of what is read is at least this.
  int64_t min_revision = 0;
  // Not what is there now is read, but what was there at this revision; 0: now. Of Get, Scan, Count
  // and BeginWalk.
  int64_t at_revision = 0;
  // All that was acknowledged longer ago than this is in what is read.
  // REQUIRES: not `linearizable`, which is more.
  std::optional<MonotonicNanos> age_max = std::nullopt;
  // The answer comes by then, plus one tick.
  MonotonicNanos deadline = 0;
};

}  // namespace raftkv::kv
