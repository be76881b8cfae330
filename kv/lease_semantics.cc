#include "kv/lease_semantics.h"

#include <string>
#include <vector>

#include "glog/logging.h"
#include "kv/state_hash.h"

namespace raftkv::kv {
namespace {

using log::v1::CommandOutcome;

// Every lease goes into the table here. `old` is null for one that is new.
void SetLease(const Lease* old, const Lease& lease, KvTable* table, LeaseTotals* totals) {
  totals->rows_hash += LeaseHash(lease) - (old == nullptr ? 0 : LeaseHash(*old));
  totals->count += old == nullptr ? 1 : 0;
  table->PutLease(lease);
}

void CountKey(int64_t id, bool comes, TxnContext* context) {
  const Lease* const old = context->table->FindLease(id);
  CHECK(old != nullptr) << "a key hangs on lease " << id << ", which is not there";
  Lease lease = *old;
  lease.keys += comes ? 1 : -1;
  SetLease(old, lease, context->table, &context->totals.leases);
}

// A free id that nobody can mistake for one of another time: not even a store that was restored
// from a backup, and has forgotten which ids it gave, gives the same again. It fits into the
// numbers of JavaScript, whose programs would round a larger one.
int64_t FreeId(raft::ClusterMillis stamp, KvTable* table, const StoreTotals& totals) {
  constexpr uint64_t kIdMask = (uint64_t{1} << 53) - 1;
  for (uint64_t number = 0;; ++number) {
    const auto id = static_cast<int64_t>(
        LeaseIdHash(stamp, totals.revision, totals.leases.rows_hash, number) & kIdMask);
    if (id != 0 && table->FindLease(id) == nullptr) {
      return id;
    }
  }
}

void Refuse(CommandOutcome::Verdict verdict, int64_t id, const StoreTotals& totals,
            CommandOutcome* outcome) {
  if (outcome != nullptr) {
    outcome->set_verdict(verdict);
    outcome->set_lease_id(id);
    outcome->set_revision(totals.revision);
  }
}

void Accept(const Lease& lease, const StoreTotals& totals, CommandOutcome* outcome) {
  if (outcome != nullptr) {
    outcome->set_verdict(CommandOutcome::VERDICT_APPLIED);
    outcome->set_revision(totals.revision);
    outcome->set_lease_id(lease.id);
    outcome->set_lease_ttl_ms(lease.ttl_ms);
    outcome->set_lease_lasts_ms(lease.lasts_ms);
  }
}

// Removes a lease and its keys; false when the table stalled.
bool EndLease(const Lease& lease, bool expires, KvTable* table, StoreTotals* totals) {
  std::vector<std::string> keys;
  const bool scanned = table->ScanLease(lease.id, [&](absl::string_view key) {
    keys.emplace_back(key);
    return true;
  });
  if (!scanned) {
    return false;
  }
  CHECK_EQ(keys.size(), lease.keys) << "lease " << lease.id;
  for (const std::string& key : keys) {
    const std::optional<const KvRecord*> found = table->Find(key, /*with_value=*/false);
    if (!found.has_value()) {
      return false;
    }
    CHECK(*found != nullptr && (*found)->header.lease_id == lease.id)
        << "a key does not hang on lease " << lease.id;
    totals->key_count -= 1;
    totals->rows_hash -= (*found)->header.row_hash;
    expires ? table->Expire(key) : table->Delete(key);
  }
  totals->revision += keys.empty() ? 0 : 1;
  totals->leases.count -= 1;
  totals->leases.rows_hash -= LeaseHash(lease);
  table->DropLease(lease.id);
  return true;
}

}  // namespace

void ApplyGrant(const log::v1::GrantLease& grant, raft::ClusterMillis stamp, KvTable* table,
                StoreTotals* totals, CommandOutcome* outcome) {
  if (grant.id() != 0 && table->FindLease(grant.id()) != nullptr) {
    Refuse(CommandOutcome::VERDICT_LEASE_EXISTS, grant.id(), *totals, outcome);
    return;
  }
  if (totals->leases.count >= grant.leases_max()) {
    Refuse(CommandOutcome::VERDICT_LEASES_FULL, grant.id(), *totals, outcome);
    if (outcome != nullptr) {
      outcome->set_exceeding(totals->leases.count);
    }
    return;
  }
  const Lease lease{.id = grant.id() != 0 ? grant.id() : FreeId(stamp, table, *totals),
                    .ttl_ms = grant.ttl_ms(),
                    .lasts_ms = grant.ttl_ms(),
                    .renewed = stamp,
                    .keys = 0,
                    .keys_max = grant.keys_max()};
  SetLease(/*old=*/nullptr, lease, table, &totals->leases);
  Accept(lease, *totals, outcome);
}

void ApplyRenewal(const log::v1::RenewLease& renewal, raft::ClusterMillis stamp, KvTable* table,
                  StoreTotals* totals, CommandOutcome* outcome) {
  const Lease* const old = table->FindLease(renewal.id());
  if (old == nullptr) {
    Refuse(CommandOutcome::VERDICT_LEASE_NOT_FOUND, renewal.id(), *totals, outcome);
    return;
  }
  Lease lease = *old;
  lease.renewed = stamp;
  lease.lasts_ms = renewal.ttl_ms() != 0 ? renewal.ttl_ms() : lease.ttl_ms;
  SetLease(old, lease, table, &totals->leases);
  Accept(lease, *totals, outcome);
}

bool ApplyRevocation(const log::v1::RevokeLease& revocation, KvTable* table, StoreTotals* totals,
                     CommandOutcome* outcome) {
  const Lease* const found = table->FindLease(revocation.id());
  if (found == nullptr) {
    Refuse(CommandOutcome::VERDICT_LEASE_NOT_FOUND, revocation.id(), *totals, outcome);
    return true;
  }
  const Lease lease = *found;
  if (!EndLease(lease, /*expires=*/false, table, totals)) {
    return false;
  }
  Accept(lease, *totals, outcome);
  if (outcome != nullptr) {
    outcome->set_lease_keys(lease.keys);
  }
  return true;
}

// A leader that was deposed, or was slow, may propose it of a lease that was renewed since.
bool ApplyLeaseExpiry(const log::v1::ExpireLease& expiry, raft::ClusterMillis stamp, KvTable* table,
                      StoreTotals* totals) {
  const Lease* const found = table->FindLease(expiry.id());
  if (found == nullptr || DeadlineOf(*found, totals->leases.term_began) > stamp) {
    return true;
  }
  return EndLease(Lease(*found), /*expires=*/true, table, totals);
}

Step MoveKey(absl::string_view key, int64_t from, int64_t to, TxnContext* context) {
  if (from == to) {
    return Step::kDone;
  }
  if (to != 0) {
    const Lease* const lease = context->table->FindLease(to);
    if (lease == nullptr || lease->keys >= lease->keys_max) {
      context->failure.lease_id = to;
      context->failure.exceeding = lease == nullptr ? 0 : lease->keys_max;
      return context->Fail(lease == nullptr ? CommandOutcome::VERDICT_LEASE_NOT_FOUND
                                            : CommandOutcome::VERDICT_LEASE_KEYS_FULL,
                           key);
    }
    CountKey(to, /*comes=*/true, context);
  }
  if (from != 0) {
    CountKey(from, /*comes=*/false, context);
  }
  return Step::kDone;
}

}  // namespace raftkv::kv
