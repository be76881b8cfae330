// What the revisions in a history promise about the whole store, whatever its keys hold. The store
// has one revision that grows by one with each change, so:
//   - two writes that succeeded have different revisions;
//   - nobody is told a revision below one that had been told to anybody before they asked, and a
//     write happens above it: revisions grow with real time, and no read is answered from a state
//     that misses an acknowledged write;
//   - no key was changed after the revision that the store had reached;
//   - whoever sees a mod_revision sees the same key and value with it.
//
// It knows nothing of orders and states. CheckLinearizability knows little of revisions, and each
// finds what the other cannot.
#pragma once

#include <string>
#include <vector>

#include "tests/linearizability/history.h"

namespace raftkv::linearizability {

// One line for each violation, the first twenty. Empty when all is well.
// REQUIRES: every operation passes Validate.
std::vector<std::string> CheckRevisions(const History& history);

}  // namespace raftkv::linearizability
