// For how long at most a cluster under faults did nothing for its clients.
#pragma once

#include <algorithm>
#include <optional>

#include "base/mutex.h"
#include "tests/support/wait.h"

namespace raftkv::chaos {

// Measures the gaps between good events. Thread-safe.
class Progress {
 public:
  // From here on the cluster is expected to do something.
  void Expect() {
    MutexLock lock(&mutex_);
    last_ = integration::Clock::now();
  }
  // It did. Ignored before Expect.
  void Note() {
    MutexLock lock(&mutex_);
    Close();
  }
  // Ends the measurement until the next Expect; a gap that is open counts up to here.
  void Stop() {
    MutexLock lock(&mutex_);
    Close();
    last_.reset();
  }

  integration::Millis longest_gap() const {
    MutexLock lock(&mutex_);
    return longest_gap_;
  }

 private:
  void Close() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (last_.has_value()) {
      longest_gap_ = std::max(longest_gap_, integration::Since(*last_));
      last_ = integration::Clock::now();
    }
  }

  mutable Mutex mutex_;
  std::optional<integration::Clock::time_point> last_ ABSL_GUARDED_BY(mutex_);
  integration::Millis longest_gap_ ABSL_GUARDED_BY(mutex_) = integration::Millis(0);
};

}  // namespace raftkv::chaos
