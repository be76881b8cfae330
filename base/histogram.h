// Histogram counts values by how large they are, in buckets whose bounds double.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace raftkv {

// A copy is what was counted so far. Confined to one thread.
class Histogram {
 public:
  static constexpr size_t kBoundsMax = 20;

  // The bounds are `first_bound`, twice that, and so on: so many. REQUIRES: first_bound is above 0,
  // and there are 1 to kBoundsMax bounds.
  constexpr Histogram(int64_t first_bound, size_t bounds)
      : first_bound_(first_bound), bounds_(bounds) {}
  // For how long things take, in nanoseconds: from an eighth of a millisecond to 8.192 s.
  static constexpr Histogram OfDurations() { return {kNanosPerMilli / 8, 17}; }

  // Negative ones count as 0.
  void Observe(int64_t value) {
    const auto counted = static_cast<uint64_t>(std::max<int64_t>(value, 0));
    const auto first = static_cast<uint64_t>(first_bound_);
    const size_t bucket =
        counted <= first ? 0 : static_cast<size_t>(std::bit_width((counted - 1) / first));
    ++buckets_[std::min(bucket, bounds_)];
    ++count_;
    sum_ += counted;
  }

  size_t bounds() const { return bounds_; }
  int64_t bound(size_t i) const { return first_bound_ << i; }
  // Values that are at most bound(i), and above bound(i - 1). i = bounds(): above all bounds.
  uint64_t bucket(size_t i) const { return buckets_[i]; }
  uint64_t count() const { return count_; }
  uint64_t sum() const { return sum_; }

 private:
  int64_t first_bound_;
  size_t bounds_;
  std::array<uint64_t, kBoundsMax + 1> buckets_ = {};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
};

}  // namespace raftkv
