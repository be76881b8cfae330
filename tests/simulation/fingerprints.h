// Numbers that stand for what nodes and clients do and say, content and all: two that differ in
// anything have different ones. For the trace, and for oracles that compare.
#pragma once

#include <cstdint>

#include "raft/core/message.h"
#include "raft/core/output.h"
#include "raft/runtime/transport.h"
#include "tests/simulation/requests.h"

namespace raftkv::simulation {

// What the entry holds; where it stands does not count.
uint64_t FingerprintOf(const raft::Entry& entry);
uint64_t FingerprintOf(const raft::Envelope& envelope);
uint64_t FingerprintOf(const raft::LogWrite& write);
uint64_t FingerprintOf(const raft::ForwardRequest& request);
uint64_t FingerprintOf(const raft::ForwardReply& reply);
uint64_t FingerprintOf(const Request& request);
uint64_t FingerprintOf(const Reply& reply);

}  // namespace raftkv::simulation
