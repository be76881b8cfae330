#include "server/loop/request_stats.h"

#include <algorithm>

namespace raftkv::server {

void RecentLatency::Record(MonotonicNanos now, MonotonicNanos took) {
  const int64_t number = now / kNanosPerSecond;
  MutexLock lock(&mutex_);
  Second& second = seconds_[static_cast<size_t>(number) % seconds_.size()];
  if (second.number > number) {
    return;  // Another thread was held up for seconds.
  }
  if (second.number != number) {
    second.number = number;
    second.took.Clear();
  }
  second.took.Record(static_cast<uint64_t>(std::max<MonotonicNanos>(took, 0)));
}

RecentLatency::Summary RecentLatency::Summarize(MonotonicNanos now) const {
  const int64_t current = now / kNanosPerSecond;
  // The second that it was made in is not whole.
  const int64_t whole = std::max<int64_t>(current - first_second_ - 1, 0);
  const int64_t told = std::min(whole, kSecondsMax);
  LatencyHistogram all(kPrecisionBits);
  {
    MutexLock lock(&mutex_);
    for (const Second& second : seconds_) {
      if (second.number >= current - told && second.number < current) {
        all.Merge(second.took);
      }
    }
  }
  return {.window = told * kNanosPerSecond,
          .count = all.count(),
          .p50 = static_cast<MonotonicNanos>(all.Percentile(50)),
          .p99 = static_cast<MonotonicNanos>(all.Percentile(99))};
}

RequestStats::RequestStats(const MonotonicClock* clock)
    : clock_(*clock),
      reads_(clock->Now()),
      writes_(clock->Now()),
      failed_(clock->Now()),
      syncs_(clock->Now()) {}

void RequestStats::OnAnswered(RequestKind kind, MonotonicNanos began, bool failed) {
  if (kind == RequestKind::kOther) {
    return;
  }
  const MonotonicNanos now = clock_.Now();
  RecentLatency& latency = kind == RequestKind::kRead ? reads_ : writes_;
  (failed ? failed_ : latency).Record(now, now - began);
}

}  // namespace raftkv::server
