// Many operations that came in one request, done as if each had come alone.
#pragma once

#include "base/clock.h"
#include "raftkv/v1/kv.pb.h"
#include "server/api/kv_operations.h"

namespace raftkv::server {

// Does all operations of a batch and calls `done` once, when the last is answered; fails, before
// any is begun, for a batch that is not as KvService.Batch wants it. At most kBatchOperationsAtOnce
// are under way; those of one key come one after the other. Borrows `operations`. Called on the
// loop.
void RunBatch(KvOperations* operations, v1::BatchRequest request, MonotonicNanos answer_by,
              KvOperations::Done<v1::BatchResponse> done);

}  // namespace raftkv::server
