#include "storage/rocksdb_kv_view.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "kv/state_hash.h"
#include "kv/stored_record.h"
#include "rocksdb/iterator.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"
#include "storage/live_iterator.h"
#include "storage/request_sum.h"

namespace raftkv::storage {
namespace {

// Between two looks at whether a read was given up; large rows that are cold take about 0.1 s.
constexpr uint64_t kRowsPerLook = 64;
constexpr char kBadRecord[] = "a record makes no sense";

// An iterator with its bounds, which RocksDB only borrows. It starts at the first key, or at the
// last when descending.
class BoundedIterator {
 public:
  BoundedIterator(rocksdb::DB* db, rocksdb::ColumnFamilyHandle* family,
                  const rocksdb::Snapshot* snapshot, const kv::KeyInterval& interval,
                  bool descending)
      : lower_(interval.start), upper_(interval.end), descending_(descending) {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot;
    options.iterate_lower_bound = &lower_;
    if (!upper_.empty()) {
      options.iterate_upper_bound = &upper_;
    }
    iterator_.reset(db->NewIterator(options, family));
    descending_ ? iterator_->SeekToLast() : iterator_->SeekToFirst();
  }

  bool Valid() const { return iterator_->Valid(); }
  void Next() { descending_ ? iterator_->Prev() : iterator_->Next(); }
  absl::string_view key() const { return ToView(iterator_->key()); }
  absl::string_view value() const { return ToView(iterator_->value()); }
  rocksdb::Status status() const { return iterator_->status(); }

 private:
  const rocksdb::Slice lower_;
  const rocksdb::Slice upper_;
  const bool descending_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

// RocksDB's iterators do not like a lower bound above the upper one.
bool IsEmpty(const kv::KeyInterval& interval) {
  return !interval.end.empty() && interval.start >= interval.end;
}

bool IsGivenUp(const kv::GivenUp& given_up, uint64_t rows_read) {
  return given_up != nullptr && rows_read % kRowsPerLook == 0 && given_up();
}

absl::Status GivenUpError() { return absl::CancelledError("the read was given up"); }

// An iterator that meets a broken block just ends: only its status tells.
absl::Status CheckRead(absl::string_view family, const rocksdb::Status& status) {
  return status.ok() ? absl::OkStatus() : ReadFailure(family, status);
}

// For a walk over everything, which should not push out of the cache what clients read.
rocksdb::ReadOptions ScanOptionsOf(const rocksdb::Snapshot* snapshot) {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot;
  options.fill_cache = false;
  return options;
}

template <typename Iterator>
absl::StatusOr<kv::ScanResult> ReadPage(const kv::ScanOptions& options, Iterator* iterator) {
  kv::ScanResult result;
  uint64_t bytes = 0;
  for (; iterator->Valid(); iterator->Next()) {
    if (IsGivenUp(options.given_up, result.rows.size())) {
      return GivenUpError();
    }
    if (result.rows.size() == options.keys_max) {
      result.more = true;
      break;
    }
    log::v1::StoredKeyValue row;
    if (!FillStoredKeyValue(iterator->key(), iterator->value(), !options.keys_only, &row)) {
      return BadBytes("`latest`", kBadRecord);
    }
    bytes += row.key().size() + row.value().size();
    if (bytes > options.bytes_max && !result.rows.empty()) {
      result.more = true;
      break;
    }
    result.rows.push_back(std::move(row));
  }
  RAFTKV_RETURN_IF_ERROR(CheckRead("`latest`", iterator->status()));
  return result;
}

}  // namespace

bool FillStoredKeyValue(absl::string_view key, absl::string_view record, bool with_value,
                        log::v1::StoredKeyValue* stored) {
  const std::optional<LatestRecord> decoded = DecodeRecord(record);
  if (!decoded.has_value()) {
    return false;
  }
  kv::FillStored(key, decoded->header, with_value ? decoded->value : absl::string_view(), stored);
  return true;
}

RocksDbKvView::RocksDbKvView(std::shared_ptr<const Generation> generation,
                             const kv::AppliedState& applied, raft::ClusterMillis earliest_deadline,
                             std::shared_ptr<const DeadIntervalMap> dead,
                             std::shared_ptr<DeadIntervalFindings> findings)
    : generation_(std::move(generation)),
      applied_(applied),
      earliest_deadline_(earliest_deadline),
      dead_(std::move(dead)),
      findings_(std::move(findings)),
      snapshot_(generation_->db->GetSnapshot()) {}

RocksDbKvView::~RocksDbKvView() { generation_->db->ReleaseSnapshot(snapshot_); }

absl::StatusOr<std::optional<log::v1::StoredKeyValue>> RocksDbKvView::Get(
    absl::string_view key) const {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  rocksdb::PinnableSlice record;
  const rocksdb::Status status =
      generation_->db->Get(options, generation_->latest, ToSlice(key), &record);
  std::optional<log::v1::StoredKeyValue> stored;
  if (status.IsNotFound()) {
    return stored;
  }
  if (!status.ok()) {
    return ReadFailure("`latest`", status);
  }
  if (!FillStoredKeyValue(key, ToView(record), /*with_value=*/true, &stored.emplace())) {
    return BadBytes("`latest`", kBadRecord);
  }
  return stored;
}

rocksdb::ReadOptions RocksDbKvView::ReadSnapshot() const {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  return options;
}

absl::Status RocksDbKvView::Verify(const kv::GivenUp& given_up) const {
  DeadlineSum due;
  LeaseSum leases;
  RAFTKV_RETURN_IF_ERROR(VerifyLatest(given_up, &due, &leases));
  RAFTKV_RETURN_IF_ERROR(VerifyTtl(given_up, due));
  RAFTKV_RETURN_IF_ERROR(VerifyLeases(given_up, &leases));
  return VerifyRequests(given_up);
}

absl::Status RocksDbKvView::VerifyLatest(const kv::GivenUp& given_up, DeadlineSum* due,
                                         LeaseSum* leases) const {
  int64_t rows = 0;
  uint64_t rows_hash = 0;
  // What is known to be dead is not stepped over: it is to be seen that it is.
  const std::unique_ptr<rocksdb::Iterator> iterator(
      generation_->db->NewIterator(ScanOptionsOf(snapshot_), generation_->latest));
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    if (IsGivenUp(given_up, static_cast<uint64_t>(rows))) {
      return GivenUpError();
    }
    const absl::string_view key = ToView(iterator->key());
    const std::optional<LatestRecord> record = DecodeAndHashRecord(key, ToView(iterator->value()));
    if (!record.has_value()) {
      return BadBytes("`latest`", kBadRecord);
    }
    ++rows;
    rows_hash += record->header.row_hash;
    due->AddRecord(key, record->header);
    leases->AddRecord(key, record->header);
  }
  RAFTKV_RETURN_IF_ERROR(CheckRead("`latest`", iterator->status()));
  return kv::CheckRows(applied_, rows, rows_hash);
}

absl::Status RocksDbKvView::VerifyTtl(const kv::GivenUp& given_up, const DeadlineSum& due) const {
  DeadlineSum found;
  const std::unique_ptr<rocksdb::Iterator> iterator(
      generation_->db->NewIterator(ScanOptionsOf(snapshot_), generation_->ttl));
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    if (IsGivenUp(given_up, found.count)) {
      return GivenUpError();
    }
    found.AddRow(ToView(iterator->key()), ToView(iterator->value()));
  }
  RAFTKV_RETURN_IF_ERROR(CheckRead("`ttl`", iterator->status()));
  if (found != due) {
    return absl::FailedPreconditionError(absl::StrCat("`ttl` has ", found.count,
                                                      " rows, which are not those of the ",
                                                      due.count, " keys with a deadline"));
  }
  return absl::OkStatus();
}

absl::Status RocksDbKvView::VerifyRequests(const kv::GivenUp& given_up) const {
  RequestSum found;
  const std::unique_ptr<rocksdb::Iterator> iterator(
      generation_->db->NewIterator(ScanOptionsOf(snapshot_), generation_->requests));
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    if (IsGivenUp(given_up, found.rows())) {
      return GivenUpError();
    }
    if (!found.Add(ToView(iterator->key()), ToView(iterator->value()), applied_)) {
      return BadBytes("`requests`", kBadRecord);
    }
  }
  RAFTKV_RETURN_IF_ERROR(CheckRead("`requests`", iterator->status()));
  return found.Check(applied_);
}

absl::Status RocksDbKvView::VerifyLeases(const kv::GivenUp& given_up, LeaseSum* leases) const {
  const std::unique_ptr<rocksdb::Iterator> iterator(
      generation_->db->NewIterator(ScanOptionsOf(snapshot_), generation_->leases));
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next()) {
    if (IsGivenUp(given_up, leases->rows())) {
      return GivenUpError();
    }
    if (!leases->Add(ToView(iterator->key()), ToView(iterator->value()))) {
      return BadBytes("`leases`", kBadRecord);
    }
  }
  RAFTKV_RETURN_IF_ERROR(CheckRead("`leases`", iterator->status()));
  return leases->Check(applied_);
}

absl::StatusOr<kv::LeaseKeys> RocksDbKvView::FindLeaseKeys(int64_t id, absl::string_view after,
                                                           uint64_t bytes_max,
                                                           const kv::GivenUp& given_up) const {
  kv::LeaseKeys found;
  uint64_t bytes = 0;
  const kv::KeyInterval interval{.start = EncodeLeasedKey(id, after), .end = LeasedKeysEnd(id)};
  BoundedIterator iterator(generation_->db, generation_->leases, snapshot_, interval,
                           /*descending=*/false);
  for (; iterator.Valid(); iterator.Next()) {
    if (IsGivenUp(given_up, found.keys.size())) {
      return GivenUpError();
    }
    const std::optional<LeasedKey> leased = DecodeLeasedKey(iterator.key());
    if (!leased.has_value()) {
      return BadBytes("`leases`", kBadRecord);
    }
    if (leased->key == after) {
      continue;
    }
    bytes += leased->key.size();
    if (bytes > bytes_max && !found.keys.empty()) {
      found.more = true;
      break;
    }
    found.keys.emplace_back(leased->key);
  }
  RAFTKV_RETURN_IF_ERROR(CheckRead("`leases`", iterator.status()));
  return found;
}

absl::StatusOr<kv::ScanResult> RocksDbKvView::Scan(const kv::ScanOptions& options) const {
  if (IsEmpty(options.interval)) {
    return kv::ScanResult();
  }
  if (options.descending) {
    BoundedIterator iterator(generation_->db, generation_->latest, snapshot_, options.interval,
                             /*descending=*/true);
    return ReadPage(options, &iterator);
  }
  std::vector<DeadInterval> found;
  LiveIterator iterator(*generation_, ReadSnapshot(), options.interval.start, options.interval.end,
                        dead_.get(), &found);
  absl::StatusOr<kv::ScanResult> page = ReadPage(options, &iterator);
  findings_->Add(std::move(found), applied_.id.index);
  return page;
}

absl::StatusOr<int64_t> RocksDbKvView::Count(const kv::KeyInterval& interval,
                                             const kv::GivenUp& given_up) const {
  int64_t count = 0;
  if (IsEmpty(interval)) {
    return count;
  }
  std::vector<DeadInterval> found;
  LiveIterator iterator(*generation_, ReadSnapshot(), interval.start, interval.end, dead_.get(),
                        &found);
  for (; iterator.Valid(); iterator.Next()) {
    if (IsGivenUp(given_up, static_cast<uint64_t>(count))) {
      return GivenUpError();
    }
    ++count;
  }
  RAFTKV_RETURN_IF_ERROR(CheckRead("`latest`", iterator.status()));
  findings_->Add(std::move(found), applied_.id.index);
  return count;
}

absl::StatusOr<kv::DueKeys> RocksDbKvView::FindDueKeys(raft::ClusterMillis now,
                                                       uint64_t keys_max) const {
  kv::DueKeys due;
  // Starting at the earliest deadline skips the tombstones of rows that are gone, but never a row.
  const kv::KeyInterval interval{.start = EncodeTtlKey(earliest_deadline_, ""), .end = ""};
  BoundedIterator iterator(generation_->db, generation_->ttl, snapshot_, interval,
                           /*descending=*/false);
  for (; iterator.Valid(); iterator.Next()) {
    const std::optional<kv::TtlRow> row = DecodeTtlKey(iterator.key());
    if (!row.has_value()) {
      return BadBytes("`ttl`", "a row makes no sense");
    }
    if (row->deadline > now || due.keys.size() == keys_max) {
      due.next_deadline = row->deadline;
      break;
    }
    due.keys.push_back({.deadline = row->deadline, .key = std::string(row->key)});
  }
  RAFTKV_RETURN_IF_ERROR(CheckRead("`ttl`", iterator.status()));
  return due;
}

}  // namespace raftkv::storage
