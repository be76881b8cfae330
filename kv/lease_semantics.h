// What commands make of leases (kv/lease.h). Who granted a lease renews it through the log, so no
// leader that was deposed can say that one lives on, and every member can tell when one is over.
#pragma once

#include "kv/command_semantics.h"
#include "kv/kv_table.h"
#include "kv/txn_context.h"
#include "raft/core/types.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

// Each applies a command; `outcome` may be null when nobody reads it. Those that return a bool
// return false when the table stalled: changes are then half done, and the caller rolls back.

void ApplyGrant(const log::v1::GrantLease& grant, raft::ClusterMillis stamp, KvTable* table,
                StoreTotals* totals, log::v1::CommandOutcome* outcome);
void ApplyRenewal(const log::v1::RenewLease& renewal, raft::ClusterMillis stamp, KvTable* table,
                  StoreTotals* totals, log::v1::CommandOutcome* outcome);
[[nodiscard]] bool ApplyRevocation(const log::v1::RevokeLease& revocation, KvTable* table,
                                   StoreTotals* totals, log::v1::CommandOutcome* outcome);
[[nodiscard]] bool ApplyLeaseExpiry(const log::v1::ExpireLease& expiry, raft::ClusterMillis stamp,
                                    KvTable* table, StoreTotals* totals);

// A key that hung on one lease, and hangs on another from now on; 0: on none. Fails when there is
// no such lease, or no room on it.
Step MoveKey(absl::string_view key, int64_t from, int64_t to, TxnContext* context);

}  // namespace raftkv::kv
