// What must be true of a cluster that is well again, and of everything that its clients were told.
#pragma once

#include <cstdint>

#include "tests/chaos/clients.h"
#include "tests/support/test_cluster.h"

namespace raftkv::chaos {

// Keys with a ttl are gone in time. All members are at the same applied index and revision, and
// show the same keys, values and revisions to stale reads; every key that was written once is
// there. A gtest failure for each thing that is wrong. Returns the number of acknowledged writes
// that are missing. REQUIRES: the clients are paused, and every member is up and reaches the
// others.
uint64_t CheckAgreement(integration::TestCluster* cluster, const Clients& clients);

}  // namespace raftkv::chaos
