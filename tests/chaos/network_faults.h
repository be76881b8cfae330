// What is done to the network between members, drawn from dice.
#pragma once

#include <optional>

#include "tests/chaos/fault_kind.h"
#include "tests/chaos/peer_network.h"
#include "tests/simulation/dice.h"

namespace raftkv::chaos {

// Begins the fault; Heal of the network ends it. What singles out one member likes to take the
// `leader`. REQUIRES: IsOfNetwork(kind).
void BeginNetworkFault(FaultKind kind, std::optional<size_t> leader, PeerNetwork* network,
                       simulation::Dice* dice);

// Whether something of that kind has happened to bytes or connections between the two counts.
bool FeltInNetwork(FaultKind kind, const RelayCounts& before, const RelayCounts& after);

}  // namespace raftkv::chaos
