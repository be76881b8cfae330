// A value below 2^11 has a bucket of its own. Above, each power of two is split into 2^10 buckets
// of equal width:
//   bucket := shift * 2^10 + (value >> shift), shift = bits of the value - 11.
#include "client/bench/histogram.h"

#include <glog/logging.h>

#include <algorithm>
#include <bit>
#include <cmath>

namespace raftkv::bench {
namespace {

constexpr int kPrecisionBits = 10;

size_t BucketOf(uint64_t value) {
  const int shift = std::max(0, static_cast<int>(std::bit_width(value)) - (kPrecisionBits + 1));
  return (static_cast<size_t>(shift) << kPrecisionBits) + (value >> shift);
}

// The greatest value that falls into the bucket.
uint64_t UpperBoundOf(size_t bucket) {
  const int shift = std::max(0, static_cast<int>(bucket >> kPrecisionBits) - 1);
  const uint64_t mantissa = bucket - (static_cast<size_t>(shift) << kPrecisionBits);
  return ((mantissa + 1) << shift) - 1;
}

}  // namespace

Histogram::Histogram() : buckets_(BucketOf(kValueMax) + 1) {}

void Histogram::Record(uint64_t value) {
  value = std::min(value, kValueMax);
  ++buckets_[BucketOf(value)];
  ++count_;
  max_ = std::max(max_, value);
  sum_ += static_cast<double>(value);
}

void Histogram::Merge(const Histogram& other) {
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
  count_ += other.count_;
  max_ = std::max(max_, other.max_);
  sum_ += other.sum_;
}

double Histogram::Mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

uint64_t Histogram::Percentile(double percent) const {
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

}  // namespace raftkv::bench
