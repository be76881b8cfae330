// What happened in a run, as a hash that any difference between two runs changes, and on request as
// text.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/functional/function_ref.h"
#include "tests/simulation/scheduler.h"

namespace raftkv::simulation {

// Mixes all bits, so that sums and exclusive ors of mixed numbers make good hashes.
uint64_t Mix(uint64_t number);

// Confined to one thread.
class Trace {
 public:
  // Lines go to stdout when `print` is set.
  Trace(const Scheduler* scheduler, bool print) : scheduler_(*scheduler), print_(print) {}

  // Notes that something happened: `numbers` say what, for the hash; `line` is asked for only when
  // somebody reads it.
  void Add(std::initializer_list<uint64_t> numbers, absl::FunctionRef<std::string()> line);
  // The same where a line would only repeat another.
  void Add(std::initializer_list<uint64_t> numbers);

  uint64_t hash() const { return hash_; }

 private:
  const Scheduler& scheduler_;
  const bool print_;
  uint64_t hash_ = 0;
};

}  // namespace raftkv::simulation
