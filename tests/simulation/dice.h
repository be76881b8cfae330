// Randomness of one concern. Every concern has its own numbers, so that a change in how the network
// draws does not shuffle what clients do.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/rng.h"
#include "base/stable_hash.h"

namespace raftkv::simulation {

// Confined to one thread.
class Dice {
 public:
  Dice(uint64_t seed, absl::string_view concern)
      : rng_(StableHash(absl::StrCat(concern, "/", seed))) {}

  // A number in [0, bound). REQUIRES: bound > 0.
  uint64_t Below(uint64_t bound) { return rng_.Below(bound); }
  // A number in [low, high], also of nanoseconds. REQUIRES: low <= high.
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(rng_.Below(static_cast<uint64_t>(high - low) + 1));
  }
  // True in `permille` of 1000 cases.
  bool Chance(uint64_t permille) { return rng_.Below(1000) < permille; }
  // REQUIRES: !choices.empty().
  template <typename T>
  const T& Pick(const std::vector<T>& choices) {
    return choices[rng_.Below(choices.size())];
  }
  // A number for somebody else's generator.
  uint64_t Seed() { return rng_.Next(); }

 private:
  Rng rng_;
};

}  // namespace raftkv::simulation
