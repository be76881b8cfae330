// Histories of a store that is linearizable, from a seed, and ways to spoil them.
#pragma once

#include <cstdint>

#include "base/rng.h"
#include "tests/linearizability/history.h"

namespace raftkv::linearizability {

struct RandomHistoryOptions {
  size_t operations = 8;
  uint64_t keys = 1;
  uint64_t clients = 3;
  // How long a call, and a pause between two of a client, takes at most.
  uint64_t latency_max = 20;
  uint64_t pause_max = 5;
  uint64_t get_percent = 40;
  uint64_t delete_percent = 15;        // Of the rest.
  uint64_t precondition_percent = 30;  // Of writes.
  uint64_t ttl_percent = 25;           // Of puts.
  uint64_t ttl_max = 30;
  uint64_t unknown_percent = 15;
  uint64_t failed_percent = 5;
  // Distinct values of the puts; 0: each put has its own.
  uint64_t values = 0;
  // Whether answers show revisions.
  bool revisions = true;
};

// What clients of a store see that does one thing after the other, each at a random moment while
// its call lasts; what is of unknown outcome then, much later, or never. The order in the history
// is that of the invocations.
History RandomHistory(const RandomHistoryOptions& options, Rng* rng);

// Changes one thing in a history, so that it may no longer be linearizable. The result passes
// Validate. REQUIRES: it is not empty.
void Spoil(History* history, Rng* rng);

}  // namespace raftkv::linearizability
