// Reads that wait until a revision is applied here, or an index: both only grow.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"

namespace raftkv::kv {

// Finds those that are due without looking at the others. Confined to the loop.
class RevisionWaiters final {
 public:
  struct Waiter {
    int64_t awaited = 0;
    MonotonicNanos deadline = 0;
    std::function<void(absl::Status)> done;
  };

  explicit RevisionWaiters(size_t max) : max_(max) {}

  // Takes the waiter, or returns false and leaves it as it is when too many wait.
  [[nodiscard]] bool Add(Waiter* waiter);
  // Takes out those whose revision is reached, lowest first.
  std::vector<Waiter> TakeReached(int64_t revision);
  // Takes out those whose deadline has come, earliest first; kNever takes all.
  std::vector<Waiter> TakeLate(MonotonicNanos now);

 private:
  // Its revision, and a number of its own.
  using Key = std::pair<int64_t, uint64_t>;

  const size_t max_;
  uint64_t next_number_ = 0;
  std::map<Key, Waiter> waiters_;
  std::set<std::pair<MonotonicNanos, Key>> deadlines_;
};

}  // namespace raftkv::kv
