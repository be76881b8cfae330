#include "tests/simulation/repetition.h"

#include "absl/strings/str_cat.h"

namespace raftkv::simulation {

RunResult RunTwice(const SimOptions& options, bool print_trace, Runner run) {
  RunResult result = run(options, print_trace);
  const RunResult second = run(options, /*print_trace=*/false);
  if (second.trace_hash != result.trace_hash || second.events != result.events) {
    result.findings.push_back(absl::StrCat("a second run differs: ", result.events,
                                           " events with hash ", result.trace_hash, ", then ",
                                           second.events, " with hash ", second.trace_hash));
  }
  return result;
}

}  // namespace raftkv::simulation
