// RequestStats keeps how many calls a member answered in the last seconds, and how long they and
// the syncs of its disk took: for people who look at it now. It knows nothing of what was before.
#pragma once

#include <array>
#include <cstdint>

#include "base/clock.h"
#include "base/latency_histogram.h"
#include "base/mutex.h"

namespace raftkv::server {

// How long things of one kind took lately. Thread-safe.
class RecentLatency {
 public:
  // Whole seconds that are told of; the one that is under way is not.
  static constexpr int64_t kSecondsMax = 5;

  struct Summary {
    MonotonicNanos window = 0;  // Of how long this is; 0 in the first second.
    uint64_t count = 0;
    // At most an eighth above the true ones; 0 when there were none.
    MonotonicNanos p50 = 0;
    MonotonicNanos p99 = 0;
  };

  // `now` is the clock's.
  explicit RecentLatency(MonotonicNanos now) : first_second_(now / kNanosPerSecond) {}

  // Something ended at `now` that took so long.
  void Record(MonotonicNanos now, MonotonicNanos took);
  Summary Summarize(MonotonicNanos now) const;

 private:
  static constexpr int kPrecisionBits = 3;

  struct Second {
    int64_t number = -1;  // Of the clock's; -1: not used yet.
    LatencyHistogram took{kPrecisionBits};
  };

  const int64_t first_second_;
  mutable Mutex mutex_;
  // Each second has the place of its number's remainder.
  std::array<Second, kSecondsMax + 1> seconds_ ABSL_GUARDED_BY(mutex_);
};

// What a call asks for, as far as it is counted.
enum class RequestKind { kOther, kRead, kWrite };

// Thread-safe.
class RequestStats {
 public:
  explicit RequestStats(const MonotonicClock* clock);

  // A call that began then was answered now. Does nothing for kOther.
  void OnAnswered(RequestKind kind, MonotonicNanos began, bool failed);
  // The log's disk was synced, which took so long.
  void OnSynced(MonotonicNanos took) { syncs_.Record(clock_.Now(), took); }

  RecentLatency::Summary reads() const { return reads_.Summarize(clock_.Now()); }
  RecentLatency::Summary writes() const { return writes_.Summarize(clock_.Now()); }
  RecentLatency::Summary failed() const { return failed_.Summarize(clock_.Now()); }
  RecentLatency::Summary syncs() const { return syncs_.Summarize(clock_.Now()); }

 private:
  const MonotonicClock& clock_;
  RecentLatency reads_;
  RecentLatency writes_;
  RecentLatency failed_;
  RecentLatency syncs_;
};

}  // namespace raftkv::server
