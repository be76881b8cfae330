#include "kv/revision_waiters.h"

#include <utility>

namespace raftkv::kv {

bool RevisionWaiters::Add(Waiter* waiter) {
  if (waiters_.size() >= max_) {
    return false;
  }
  const Key key(waiter->awaited, next_number_++);
  deadlines_.emplace(waiter->deadline, key);
  waiters_.emplace(key, std::move(*waiter));
  return true;
}

std::vector<RevisionWaiters::Waiter> RevisionWaiters::TakeReached(int64_t revision) {
  std::vector<Waiter> taken;
  while (!waiters_.empty() && waiters_.begin()->second.awaited <= revision) {
    auto waiter = waiters_.extract(waiters_.begin());
    deadlines_.erase({waiter.mapped().deadline, waiter.key()});
    taken.push_back(std::move(waiter.mapped()));
  }
  return taken;
}

std::vector<RevisionWaiters::Waiter> RevisionWaiters::TakeLate(MonotonicNanos now) {
  std::vector<Waiter> taken;
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto deadline = deadlines_.extract(deadlines_.begin());
    taken.push_back(std::move(waiters_.extract(deadline.value().second).mapped()));
  }
  return taken;
}

}  // namespace raftkv::kv
