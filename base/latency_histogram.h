// Where latencies are kept until somebody asks for their percentiles.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace raftkv {

// Counts values in buckets whose width grows with the value: a reported percentile is at most
// 1/2^precision_bits above the true one, in constant memory: 224 KiB with 10 bits, 2 KiB with 3.
// Values above kValueMax count as kValueMax. Confined to one thread.
class LatencyHistogram {
 public:
  static constexpr uint64_t kValueMax = (uint64_t{1} << 37) - 1;  // In ns: 137 s.

  // REQUIRES: 1 <= precision_bits <= 10.
  explicit LatencyHistogram(int precision_bits = 10);

  void Record(uint64_t value);
  // Forgets everything.
  void Clear();
  // Adds all that `other` counted. REQUIRES: it has the same precision.
  void Merge(const LatencyHistogram& other);

  uint64_t count() const { return count_; }
  // The greatest value recorded, exact; 0 when there is none.
  uint64_t max() const { return max_; }
  double Mean() const;
  // The smallest value that at least `percent` of the recorded values do not exceed; 0 when there
  // is none. REQUIRES: 0 <= percent <= 100.
  uint64_t Percentile(double percent) const;

 private:
  size_t BucketOf(uint64_t value) const;
  // The greatest value that falls into the bucket.
  uint64_t UpperBoundOf(size_t bucket) const;

  int precision_bits_;
  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0;
  uint64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace raftkv
