// Puts by KvService.Batch and KvService.Stream, as bulk loaders send them: a closed loop, as the
// load generator's.
#pragma once

#include "absl/status/statusor.h"
#include "client/bench/load_generator.h"

namespace raftkv::bench {

enum class BulkMethod { kBatch, kStream };

struct BulkOptions {
  BulkMethod method = BulkMethod::kStream;
  int batch_puts = 100;      // Of one batch; a stream sends one by one.
  bool request_ids = false;  // Each put has an id of its own.
};

// Runs puts, LoadOptions::in_flight of them at a time (of batches, rounded down to whole ones) over
// its connections, each of which is one stream. A put's latency is that of its batch. Fails when a
// connection cannot be opened, or a stream ends. REQUIRES: read_percent is 0.
absl::StatusOr<LoadResult> RunBulk(const LoadOptions& options, const BulkOptions& bulk);

}  // namespace raftkv::bench
