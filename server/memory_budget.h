// How --memory_bytes_max is shared out. Numbers alone.
#pragma once

#include <cstddef>
#include <cstdint>

#include "server/options.h"

namespace raftkv::server {

// In bytes, but for slow_requests_max. What the node may hold for itself is three quarters of the
// whole, and most of it is rarely used up, so that threads, connections and what the allocator
// keeps fit in beside it. What gRPC holds for the connections of a port has a bound that is far
// above it: only clients that send large values faster than the cluster takes them come near.
struct MemoryBudget {
  // Blocks of files with their indexes and filters, and the write buffers.
  uint64_t cache = 0;
  // What keys carry besides their values, of those that are likely to be written again.
  uint64_t header_cache = 0;
  // One write buffer of the keys, and one of the log.
  uint64_t write_buffer = 0;
  uint64_t log_write_buffer = 0;
  // What is not flushed: on disk, but a start replays it into write buffers.
  uint64_t wal = 0;
  // The newest entries of the log.
  uint64_t log_tail = 0;
  // Proposals that wait for a place in the log or for their outcome.
  uint64_t proposals = 0;
  // Answers to clients that are not sent yet, because their clients do not read them.
  uint64_t unsent_answers = 0;
  // What gRPC holds for all connections of a port, mostly requests that are still coming; it ends
  // calls of any kind beyond it.
  uint64_t client_port = 0;
  uint64_t peer_port = 0;
  // Requests that have come in part for longer than UnfinishedRequests::kSlowAge. Of the largest
  // size they hold half of client_port, so that others have room, unless that were too few.
  size_t slow_requests_max = 0;
};

MemoryBudget ShareOutMemory(const ServerOptions& options);

}  // namespace raftkv::server
