// The number of keys in the intervals that were counted lately, kept up to date while keys come and
// go, so that who counts again and again need not walk again and again.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "kv/kv_state_machine.h"

namespace raftkv::kv {

// Confined to the loop's thread.
class CountedIntervals {
 public:
  // The number as of now, if it is known.
  std::optional<int64_t> Find(const KeyInterval& interval);
  // A walk over the state as of now begins. Returns the id for End, which need not come.
  uint64_t Begin(const KeyInterval& interval);
  // The walk found `count` keys, or came to nothing.
  void End(uint64_t id, std::optional<int64_t> count);
  // A key came or went.
  void OnChange(absl::string_view key, bool created);

 private:
  struct Counted {
    KeyInterval interval;
    uint64_t id;
    // While the walk is under way, what has changed since it began.
    int64_t count = 0;
    bool walked = false;
    // Changes anywhere since it was last asked for: when they cost more than a walk, it goes.
    uint64_t idle_changes = 0;
  };

  // What was asked for last is last. At most kIntervalsMax.
  std::vector<Counted> counted_;
  uint64_t next_id_ = 1;
};

}  // namespace raftkv::kv
