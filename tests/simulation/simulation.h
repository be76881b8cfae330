// One run: a cluster, its clients and its troubles, from one seed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/simulation/counters.h"
#include "tests/simulation/options.h"

namespace raftkv::simulation {

struct RunResult {
  // Broken promises, one line each; a run ends at the first.
  std::vector<std::string> findings;
  uint64_t trace_hash = 0;
  uint64_t events = 0;
  uint64_t operations = 0;
  uint64_t answered = 0;  // Operations whose outcome their client knows.
  Counters counters;
};

// First everything goes wrong that the options allow, and nothing wrong may be seen. Then the
// troubles end, for a majority of the nodes only, and the cluster must work again. Equal options
// give equal results. With `print_trace` each event is a line on stdout.
RunResult RunSimulation(const SimOptions& options, bool print_trace);

}  // namespace raftkv::simulation
