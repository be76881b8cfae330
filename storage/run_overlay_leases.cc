// The leases of a RunOverlay.
#include <memory>
#include <optional>
#include <set>

#include "glog/logging.h"
#include "rocksdb/iterator.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"
#include "storage/run_overlay.h"

namespace raftkv::storage {
namespace {

constexpr char kLeasesName[] = "a row of `leases`";

}  // namespace

const kv::Lease* RunOverlay::FindLease(int64_t id) {
  if (const auto changed = changed_leases_.find(id); changed != changed_leases_.end()) {
    return changed->second.has_value() ? &*changed->second : nullptr;
  }
  return leases_.Find(id);
}

void RunOverlay::SetLease(int64_t id, std::optional<kv::Lease> lease) {
  const auto [place, is_new] = changed_leases_.try_emplace(id);
  lease_undo_.push_back({.id = id, .before = std::nullopt});
  if (!is_new) {
    lease_undo_.back().before.emplace(place->second);
  }
  place->second = lease;
  staged_bytes_ += sizeof(kv::Lease);
}

void RunOverlay::PutLease(const kv::Lease& lease) { SetLease(lease.id, lease); }

void RunOverlay::DropLease(int64_t id) { SetLease(id, std::nullopt); }

bool RunOverlay::ScanLease(int64_t id, absl::FunctionRef<bool(absl::string_view key)> visit) {
  std::set<absl::string_view> written;
  for (const Row& row : rows_) {
    if (row.state.changed && row.state.exists && row.state.record.header.lease_id == id) {
      written.insert(row.key);
    }
  }
  auto next_written = written.begin();
  // Visits written keys before `key`, or all that are left; false when the visitor has seen enough.
  const auto visit_written_before = [&](const absl::string_view* key) {
    for (; next_written != written.end() && (key == nullptr || *next_written < *key);
         ++next_written) {
      if (!visit(*next_written)) {
        return false;
      }
    }
    return true;
  };
  rocksdb::ReadOptions options = OwnReadOptions();
  const std::string end = LeasedKeysEnd(id);
  const rocksdb::Slice upper_bound = end;
  options.iterate_upper_bound = &upper_bound;
  const std::unique_ptr<rocksdb::Iterator> iterator(
      generation_->db->NewIterator(options, generation_->leases));
  uint64_t keys = 0;
  for (iterator->Seek(EncodeLeasedKey(id, "")); iterator->Valid(); iterator->Next()) {
    if (WalkedTooFar() || AreTooMany(++keys)) {
      return false;
    }
    const std::optional<LeasedKey> leased = DecodeLeasedKey(ToView(iterator->key()));
    if (!leased.has_value()) {
      ExitOnCorruption(kLeasesName, "its bytes make no sense");
    }
    if (!visit_written_before(&leased->key)) {
      return true;
    }
    const auto known = by_key_.find(leased->key);
    // What this run changed has its place among `written` now, or none.
    if ((known == by_key_.end() || !known->second->state.changed) && !visit(leased->key)) {
      return true;
    }
  }
  if (iterator->status().IsIncomplete() || WalkedTooFar()) {
    return false;
  }
  if (!iterator->status().ok()) {
    ExitOnCorruption(kLeasesName, iterator->status().ToString());
  }
  visit_written_before(nullptr);
  return true;
}

void RunOverlay::WriteLeasesTo(rocksdb::WriteBatch* batch) const {
  for (const auto& [id, lease] : changed_leases_) {
    const rocksdb::Status built =
        lease.has_value() ? batch->Put(generation_->leases, EncodeLeaseKey(id), EncodeLease(*lease))
                          : batch->Delete(generation_->leases, EncodeLeaseKey(id));
    CHECK(built.ok()) << "cannot build a write batch: " << built.ToString();
  }
}

void RunOverlay::WriteLeasedKeyTo(const Row& row, rocksdb::WriteBatch* batch) const {
  const int64_t before = row.on_disk ? row.disk_lease : 0;
  const int64_t now = row.state.exists ? row.state.record.header.lease_id : 0;
  if (before == now) {
    return;
  }
  if (before != 0) {
    const rocksdb::Status built =
        batch->Delete(generation_->leases, EncodeLeasedKey(before, row.key));
    CHECK(built.ok()) << "cannot build a write batch: " << built.ToString();
  }
  if (now != 0) {
    const rocksdb::Status built =
        batch->Put(generation_->leases, EncodeLeasedKey(now, row.key), "");
    CHECK(built.ok()) << "cannot build a write batch: " << built.ToString();
  }
}

}  // namespace raftkv::storage
