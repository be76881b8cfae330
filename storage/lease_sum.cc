#include "storage/lease_sum.h"

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/stable_hash.h"
#include "base/status_macros.h"
#include "kv/state_hash.h"
#include "storage/key_layout.h"

namespace raftkv::storage {
namespace {

uint64_t HashOfId(int64_t id) { return StableHash(EncodeLeaseKey(id)); }

}  // namespace

void LeaseSum::AddKey(int64_t id, absl::string_view key, Keys* keys) {
  ++keys->count;
  keys->keys += StableHash(EncodeLeasedKey(id, key));
  keys->leases += HashOfId(id);
}

bool LeaseSum::Add(absl::string_view row_key, absl::string_view value) {
  if (const std::optional<int64_t> id = DecodeLeaseKey(row_key); id.has_value()) {
    const std::optional<kv::Lease> lease = DecodeLease(*id, value);
    if (!lease.has_value()) {
      return false;
    }
    ++leases_;
    rows_hash_ += kv::LeaseHash(*lease);
    counted_.count += lease->keys;
    counted_.leases += lease->keys * HashOfId(*id);
    return true;
  }
  const std::optional<LeasedKey> leased = DecodeLeasedKey(row_key);
  if (!leased.has_value() || !value.empty()) {
    return false;
  }
  AddKey(leased->id, leased->key, &found_);
  return true;
}

void LeaseSum::AddRecord(absl::string_view key, const kv::RecordHeader& header) {
  if (header.lease_id != 0) {
    AddKey(header.lease_id, key, &wanted_);
  }
}

absl::Status LeaseSum::Check(const kv::AppliedState& applied) const {
  RAFTKV_RETURN_IF_ERROR(kv::CheckLeases(applied, leases_, rows_hash_));
  if (found_ != wanted_) {
    return absl::FailedPreconditionError(absl::StrCat("`leases` has ", found_.count,
                                                      " keys, which are not the ", wanted_.count,
                                                      " whose records have a lease"));
  }
  if (found_.count != counted_.count || found_.leases != counted_.leases) {
    return absl::FailedPreconditionError(
        absl::StrCat("`leases` has ", found_.count, " keys, and its leases count ", counted_.count,
                     ", or others for some lease"));
  }
  return absl::OkStatus();
}

}  // namespace raftkv::storage
