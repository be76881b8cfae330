// All members lose their power at once, again and again, and nothing acknowledged may be missing.
#pragma once

#include <cstdint>

#include "tests/chaos/chaos_cluster.h"
#include "tests/chaos/clients.h"

namespace raftkv::chaos {

struct PowerCutOptions {
  uint64_t seed = 1;
  uint64_t cuts = 50;
  // For tests of the checks: disks that say that they have synced, and have not.
  bool lying_disks = false;
};

struct PowerCutFigures {
  uint64_t cuts = 0;
  uint64_t lost_writes = 0;
};

// After every cut the members must be equal and have everything. Stops at the first gtest failure.
// REQUIRES: the cluster runs and has disks.
PowerCutFigures CutPowerAgainAndAgain(const PowerCutOptions& options, ChaosCluster* cluster,
                                      Clients* clients);

}  // namespace raftkv::chaos
