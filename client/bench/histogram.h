// Where the benchmark keeps its latencies.
#pragma once

#include <cstdint>
#include <vector>

namespace raftkv::bench {

// Counts values in buckets whose width grows with the value: a reported percentile is at most 0.1 %
// above the true one, in constant memory. Values above kValueMax count as kValueMax. Confined to
// one thread.
class Histogram {
 public:
  static constexpr uint64_t kValueMax = (uint64_t{1} << 37) - 1;  // In ns: 137 s.

  Histogram();

  void Record(uint64_t value);
  // Adds all that `other` counted.
  void Merge(const Histogram& other);

  uint64_t count() const { return count_; }
  // The greatest value recorded, exact; 0 when there is none.
  uint64_t max() const { return max_; }
  double Mean() const;
  // The smallest value that at least `percent` of the recorded values do not exceed; 0 when there
  // is none. REQUIRES: 0 <= percent <= 100.
  uint64_t Percentile(double percent) const;

 private:
  std::vector<uint64_t> buckets_;
  uint64_t count_ = 0;
  uint64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace raftkv::bench
