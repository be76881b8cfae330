// What the applied keys are the result of.
#pragma once

#include <cstdint>

#include "kv/command_version.h"
#include "kv/history.h"
#include "kv/lease.h"
#include "raft/core/types.h"

namespace raftkv::kv {

// The request ids that are remembered (kv/remembered_requests.h): those of the numbers
// [first, next).
struct RequestTotals {
  uint64_t first = 0;
  uint64_t next = 0;
  uint64_t bytes = 0;      // Of ids and answers.
  uint64_t rows_hash = 0;  // The sum of their hashes (kv/state_hash.h), modulo 2^64.

  uint64_t count() const { return next - first; }

  friend bool operator==(const RequestTotals&, const RequestTotals&) = default;
};

// Changes together with the keys.
struct AppliedState {
  raft::EntryId id;
  raft::ClusterMillis stamp;  // Of the entry at `id`.
  int64_t revision = 0;
  int64_t key_count = 0;
  // The sum of the keys' hashes (kv/state_hash.h), modulo 2^64.
  uint64_t rows_hash = 0;
  // Every member knows the commands of this version.
  uint32_t cluster_version = kFirstCommandVersion;
  RequestTotals requests = {};  // None before kTxnCommandVersion.
  LeaseTotals leases = {};      // None before kLeaseCommandVersion.
  // Empty before the cluster version is kHistoryCommandVersion.
  HistoryState history = {};

  friend bool operator==(const AppliedState&, const AppliedState&) = default;
};

}  // namespace raftkv::kv
