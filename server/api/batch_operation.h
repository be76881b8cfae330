// One of many operations that came together, by KvService.Batch or Stream: done as if it had come
// as a call of its own.
#pragma once

#include <cstdint>
#include <functional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "raftkv/v1/kv.pb.h"
#include "server/api/kv_operations.h"

namespace raftkv::server {

// What can be told from an operation before it is done.
struct OperationTraits {
  bool only_reads = false;
  bool has_request_id = false;
  bool returns_values = false;  // its answer may be much larger than itself
};
OperationTraits TraitsOf(const v1::BatchOp& op);
OperationTraits TraitsOf(const v1::TxnRequest& txn);

// What it is answered with when there is no room for its answer.
absl::Status UnsendableError(const OperationTraits& traits);

// Calls `done` exactly once, maybe before this returns, with errors of kv/errors.h; the response
// within the result has a header. REQUIRES: the operation's kind is set; called on the loop.
void RunOperation(KvOperations* operations, v1::BatchOp op, MonotonicNanos answer_by,
                  std::function<void(absl::StatusOr<v1::BatchResult> result)> done);

// What the header of the response within says, and that header, which the response loses; 0 and an
// empty one of an error.
int64_t RevisionOf(const v1::BatchResult& result);
v1::ResponseHeader TakeHeader(v1::BatchResult* result);

}  // namespace raftkv::server
