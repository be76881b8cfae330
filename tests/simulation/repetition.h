// A run is a function of its options. Anything else that it depends on, an address for example or
// the order of a hash map, makes failures that do not come again; so some runs are done twice.
#pragma once

#include "absl/functional/function_ref.h"
#include "tests/simulation/simulation.h"

namespace raftkv::simulation {

using Runner = absl::FunctionRef<RunResult(const SimOptions& options, bool print_trace)>;

// Does the run twice. The result is that of the first, with a finding more when the second differs.
RunResult RunTwice(const SimOptions& options, bool print_trace, Runner run = RunSimulation);

}  // namespace raftkv::simulation
