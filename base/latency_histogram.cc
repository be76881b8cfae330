// With p bits of precision a value below 2^(p+1) has a bucket of its own. Above, each power of two
// is split into 2^p buckets of equal width:
//   bucket := shift * 2^p + (value >> shift), shift = bits of the value - (p + 1).
#include "base/latency_histogram.h"

#include <glog/logging.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace raftkv {

LatencyHistogram::LatencyHistogram(int precision_bits) : precision_bits_(precision_bits) {
  CHECK(precision_bits >= 1 && precision_bits <= 10) << precision_bits;
  buckets_.resize(BucketOf(kValueMax) + 1);
}

size_t LatencyHistogram::BucketOf(uint64_t value) const {
  const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - (precision_bits_ + 1));
  return (static_cast<size_t>(shift) << precision_bits_) + (value >> shift);
}

uint64_t LatencyHistogram::UpperBoundOf(size_t bucket) const {
  const int shift = std::max(0, static_cast<int>(bucket >> precision_bits_) - 1);
  const uint64_t mantissa = bucket - (static_cast<size_t>(shift) << precision_bits_);
  return ((mantissa + 1) << shift) - 1;
}

void LatencyHistogram::Record(uint64_t value) {
  value = std::min(value, kValueMax);
  ++buckets_[BucketOf(value)];
  ++count_;
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value);
}

void LatencyHistogram::Clear() {
  std::fill(buckets_.begin(), buckets_.end(), 0);
  count_ = 0;
  max_ = 0;
  sum_ = 0;
}

void LatencyHistogram::Merge(const LatencyHistogram& other) {
  CHECK_EQ(precision_bits_, other.precision_bits_);
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

double LatencyHistogram::Mean() const {
  return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
}

uint64_t LatencyHistogram::Percentile(double percent) const {
  CHECK_GE(percent, 0);
  CHECK_LE(percent, 100);
  if (count_ == 0) return 0;
  const auto wanted = static_cast<uint64_t>(std::ceil(percent * static_cast<double>(count_) / 100));
  uint64_t seen = 0;
  for (size_t i = 0; i < buckets_.size(); ++i) {
    seen += buckets_[i];
    if (seen > 0 && seen >= wanted) return std::min(UpperBoundOf(i), max_);
  }
  return max_;
}

}  // namespace raftkv
