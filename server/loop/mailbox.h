// Where the loop leaves something for a thread that waits for it.
#pragma once

#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"

namespace raftkv::server {

// Shared by both sides, because either may be done with it first. Thread-safe.
template <typename Letter>
class Mailbox {
 public:
  void Put(Letter letter) {
    MutexLock lock(&mutex_);
    letter_ = std::move(letter);
    arrived_.NotifyOne();
  }
  // nullopt when none came within `timeout`, or when the thread woke for no reason before.
  std::optional<Letter> Take(MonotonicNanos timeout) {
    MutexLock lock(&mutex_);
    if (!letter_.has_value()) {
      arrived_.WaitFor(&mutex_, timeout);
    }
    return std::exchange(letter_, std::nullopt);
  }

 private:
  Mutex mutex_;
  CondVar arrived_;
  std::optional<Letter> letter_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace raftkv::server
