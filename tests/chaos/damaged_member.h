// A member whose files went bad while it was down: it must refuse to serve, or be as right as any
// other, above all when it leads.
#pragma once

#include <cstdint>
#include <optional>

#include "tests/chaos/chaos_cluster.h"
#include "tests/simulation/dice.h"

namespace raftkv::chaos {

struct DamageCounts {
  uint64_t damaged = 0;
  uint64_t refused = 0;  // to start
  uint64_t stopped = 0;  // when it met the damage later
  uint64_t led = 0;      // with the damage
};

// Kills `victim`, damages one of its files, starts it and pushes it to lead. In half of all cases
// it is then the only one of a majority that has the newest entries. Afterwards it is stopped and
// its files are good again. Returns whether it refused or led; a gtest failure when it ends in
// another way than a damaged member may. REQUIRES: everybody runs.
bool DamageFileOf(size_t victim, std::optional<size_t> leader, ChaosCluster* cluster,
                  simulation::Dice* dice, DamageCounts* counts);

}  // namespace raftkv::chaos
