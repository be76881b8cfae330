// What each operation of a transaction does to the keys: with which value, versions, deadline and
// lease it leaves them. The revision is its caller's (kv/command_semantics.cc).
#pragma once

#include "kv/txn_context.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

// Does one operation other than a transaction within. Takes keys and values out of it. `result` is
// null when nobody reads it: what happens is the same. REQUIRES: CheckCommand has accepted it.
Step ApplyOperation(log::v1::Operation* operation, TxnContext* context,
                    log::v1::OperationOutcome* result);

}  // namespace raftkv::kv
