// Seeded randomness as a value: equal seeds give equal numbers, on every machine.
#pragma once

#include <cstdint>
#include <random>

namespace raftkv {

// Copyable; a copy continues with the same numbers. Not for secrets. Confined to one thread.
class Rng {
 public:
  explicit Rng(uint64_t seed) : engine_(seed) {}

  // A number in [0, bound), near enough to uniform for bounds far below 2^64. REQUIRES: bound > 0.
  uint64_t Below(uint64_t bound) { return engine_() % bound; }
  uint64_t Next() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

}  // namespace raftkv
