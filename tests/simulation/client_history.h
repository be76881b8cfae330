// What clients lived through, in the form that the checkers of tests/linearizability take.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/linearizability/history.h"
#include "tests/simulation/clients.h"

namespace raftkv::simulation {

// A List becomes a Get of each of the `keys` that it could have shown, and a transaction what it
// did to each of them. Where an answer does not say which keys were met, or a condition is none
// that the checker knows, the history says less than the client saw: a checker may overlook
// something there, but finds nothing that is not so. Stale reads are left out. Clocks are at most
// `drift_ppm_max` too fast.
linearizability::History ToHistory(const std::vector<ClientOperation>& operations,
                                   const std::vector<std::string>& keys, int64_t drift_ppm_max);

}  // namespace raftkv::simulation
