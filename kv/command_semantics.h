// What every command means, and what its proposer hears. A function of the command, the entry's
// stamp and the table, so that all members agree. Guards, branches and the store's revision are
// decided here; which records an operation of a transaction changes, and with which deadline, in
// kv/operation_semantics.h, and what a command does to a lease in kv/lease_semantics.h.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "kv/applied_state.h"
#include "kv/command_version.h"
#include "kv/kv_table.h"
#include "raft/core/types.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

// What the other fields of a record count against a bound of an answer's bytes: at least as much as
// they take in an answer to a client.
inline constexpr uint64_t kPreviousOverheadBytes = 64;

// The figures of the whole store.
struct StoreTotals {
  int64_t revision = 0;  // Grows by one with each command that changes a key.
  int64_t key_count = 0;
  uint64_t rows_hash = 0;  // The sum of the hashes of the keys that are there.
  uint32_t cluster_version = kFirstCommandVersion;
  RequestTotals requests = {};
  LeaseTotals leases = {};
  // HistoryState's. Who applies a command that raises it compacts the history.
  int64_t compacted = 0;

  friend bool operator==(const StoreTotals&, const StoreTotals&) = default;
};

// Whether this version knows everything that the command says. Unimplemented otherwise: a member
// that skipped part of a command would differ from those that do not.
absl::Status CheckCommand(const log::v1::Command& command);

// Whether this version knows all commands of a cluster version (kv/command_version.h).
// Unimplemented otherwise, in words for whoever runs this member.
absl::Status CheckClusterVersion(uint32_t version);

// Whether it may make the data larger: it may write a key, or make a lease. What only removes, and
// what members say of themselves, does not.
bool AddsData(const log::v1::Command& command);

// Applies a command that CheckCommand accepted. Takes keys and values out of it. `outcome` may be
// null when nobody reads it. Returns false when the table stalled: changes are then half done, and
// the caller rolls back.
[[nodiscard]] bool ApplyCommand(log::v1::Command* command, raft::ClusterMillis stamp,
                                KvTable* table, StoreTotals* totals,
                                log::v1::CommandOutcome* outcome);

// What a transaction that only reads comes to, at `revision` of the store, without an entry of the
// log. Returns false when the table stalled. REQUIRES: CheckCommand accepts it, and none of its
// operations writes.
[[nodiscard]] bool EvaluateReads(const log::v1::Txn& txn, int64_t revision, KvTable* table,
                                 log::v1::CommandOutcome* outcome);

}  // namespace raftkv::kv
