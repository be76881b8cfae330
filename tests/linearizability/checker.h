// Whether a history can be that of a linearizable store (Herlihy and Wing): whether each operation
// can have taken effect at one moment between its invocation and its completion, such that all
// answers are those of a store that does one thing after the other.
//
// A key is absent before its first write. The unknown may have happened at any time after their
// invocation, or never; what failed never happens.
#pragma once

#include <cstdint>
#include <string>

#include "tests/linearizability/history.h"

namespace raftkv::linearizability {

enum class Verdict {
  kOk,
  kViolation,  // Also when an operation does not pass Validate.
  kTimeout,    // Not decided within the limits. Callers must count it as a failure.
};

struct CheckLimits {
  // For each key. A step costs at most a microsecond and 200 bytes, and those until its key is
  // done.
  uint64_t steps_max = 2'000'000;
};

struct CheckReport {
  Verdict verdict = Verdict::kOk;
  // Unless ok: the key, the end of the longest order that was found, and what cannot follow it.
  std::string explanation;
  uint64_t steps = 0;  // Of all keys: the work that it took.
};

// Checks all keys; a violation outweighs a timeout.
CheckReport CheckLinearizability(const History& history, const CheckLimits& limits = {});

}  // namespace raftkv::linearizability
