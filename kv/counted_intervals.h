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
  // Another state took the place of the one that was counted: forgets all, and hears of no walk
  // that has begun.
  void Forget() { counted_.clear(); }

 private:
  struct Walk {
    uint64_t id;
    int64_t changes_before;  // What Counted::count was when it began.
  };
  struct Counted {
    KeyInterval interval;
    bool known = false;
    // Until it is known, what has changed since the first walk began.
    int64_t count = 0;
    // Under way, at most kWalksMax; none once it is known. The first that ends tells all.
    std::vector<Walk> walks;
    // Changes anywhere since it was last asked for: when they cost more than a walk, it goes.
    uint64_t idle_changes = 0;
  };

  // Null when it is neither known nor walked over. Valid until the next call.
  Counted* AskFor(const KeyInterval& interval);

  // What was asked for last is last. At most kIntervalsMax, each once.
  std::vector<Counted> counted_;
  uint64_t next_id_ = 1;
};

}  // namespace raftkv::kv
