#include "storage/rocksdb_kv_view.h"

#include <memory>
#include <string>
#include <utility>

#include "base/mutant.h"
#include "base/status_macros.h"
#include "rocksdb/iterator.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"

namespace raftkv::storage {
namespace {

// Between two looks at whether a read was given up; large rows that are cold take about 0.1 s.
constexpr uint64_t kRowsPerLook = 64;
constexpr char kBadRecord[] = "a record makes no sense";

// An iterator with its bounds, which RocksDB only borrows. It starts at the first key, or at the
// last when descending.
class BoundedIterator {
 public:
  BoundedIterator(const ColumnFamilies& families, rocksdb::ColumnFamilyHandle* family,
                  const rocksdb::Snapshot* snapshot, const KeyInterval& interval, bool descending)
      : lower_(interval.start), upper_(interval.end), descending_(descending) {
    rocksdb::ReadOptions options;
    options.snapshot = snapshot;
    options.iterate_lower_bound = &lower_;
    if (!upper_.empty()) {
      options.iterate_upper_bound = &upper_;
    }
    iterator_.reset(families.db->NewIterator(options, family));
    descending_ ? iterator_->SeekToLast() : iterator_->SeekToFirst();
  }

  bool Valid() const { return iterator_->Valid(); }
  void Next() { descending_ ? iterator_->Prev() : iterator_->Next(); }
  absl::string_view key() const { return ToView(iterator_->key()); }
  absl::string_view value() const { return ToView(iterator_->value()); }
  // An iterator that meets a broken block just ends: only this tells.
  absl::Status status(absl::string_view family) const {
    const rocksdb::Status status = iterator_->status();
    return status.ok() || RAFTKV_MUTANT(kScanStatusIgnored) ? absl::OkStatus()
                                                            : ReadFailure(family, status);
  }

 private:
  const rocksdb::Slice lower_;
  const rocksdb::Slice upper_;
  const bool descending_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
};

// RocksDB's iterators do not like a lower bound above the upper one.
bool IsEmpty(const KeyInterval& interval) {
  return !interval.end.empty() && interval.start >= interval.end;
}

bool IsGivenUp(const GivenUp& given_up, uint64_t rows_read) {
  return given_up != nullptr && rows_read % kRowsPerLook == 0 && given_up();
}

absl::Status GivenUpError() { return absl::CancelledError("the read was given up"); }

}  // namespace

bool FillStoredKeyValue(absl::string_view key, absl::string_view record, bool with_value,
                        log::v1::StoredKeyValue* stored) {
  const std::optional<LatestRecord> decoded = DecodeRecord(record);
  if (!decoded.has_value()) {
    return false;
  }
  stored->set_key(key.data(), key.size());
  if (with_value) {
    stored->set_value(decoded->value.data(), decoded->value.size());
  } else {
    stored->clear_value();
  }
  stored->set_create_revision(decoded->header.create_revision);
  stored->set_mod_revision(decoded->header.mod_revision);
  stored->set_version(decoded->header.version);
  stored->set_deadline_ms(decoded->header.deadline.value());
  return true;
}

RocksDbKvView::RocksDbKvView(const ColumnFamilies& families, int64_t revision,
                             raft::ClusterMillis earliest_deadline)
    : families_(families),
      revision_(revision),
      earliest_deadline_(earliest_deadline),
      snapshot_(families.db->GetSnapshot()) {}

RocksDbKvView::~RocksDbKvView() { families_.db->ReleaseSnapshot(snapshot_); }

absl::StatusOr<std::optional<log::v1::StoredKeyValue>> RocksDbKvView::Get(
    absl::string_view key) const {
  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  rocksdb::PinnableSlice record;
  const rocksdb::Status status =
      families_.db->Get(options, families_.latest, ToSlice(key), &record);
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

absl::StatusOr<ScanResult> RocksDbKvView::Scan(const ScanOptions& options) const {
  ScanResult result;
  if (IsEmpty(options.interval)) {
    return result;
  }
  uint64_t bytes = 0;
  BoundedIterator iterator(families_, families_.latest, snapshot_, options.interval,
                           options.descending);
  for (; iterator.Valid(); iterator.Next()) {
    if (IsGivenUp(options.given_up, result.rows.size())) {
      return GivenUpError();
    }
    if (result.rows.size() == options.keys_max) {
      result.more = true;
      break;
    }
    log::v1::StoredKeyValue row;
    if (!FillStoredKeyValue(iterator.key(), iterator.value(), !options.keys_only, &row)) {
      return BadBytes("`latest`", kBadRecord);
    }
    bytes += row.key().size() + row.value().size();
    if (bytes > options.bytes_max && !result.rows.empty()) {
      result.more = true;
      break;
    }
    result.rows.push_back(std::move(row));
  }
  RAFTKV_RETURN_IF_ERROR(iterator.status("`latest`"));
  return result;
}

absl::StatusOr<int64_t> RocksDbKvView::Count(const KeyInterval& interval,
                                             const GivenUp& given_up) const {
  int64_t count = 0;
  if (IsEmpty(interval)) {
    return count;
  }
  BoundedIterator iterator(families_, families_.latest, snapshot_, interval,
                           /*descending=*/false);
  for (; iterator.Valid(); iterator.Next()) {
    if (IsGivenUp(given_up, static_cast<uint64_t>(count))) {
      return GivenUpError();
    }
    ++count;
  }
  RAFTKV_RETURN_IF_ERROR(iterator.status("`latest`"));
  return count;
}

absl::StatusOr<DueKeys> RocksDbKvView::FindDueKeys(raft::ClusterMillis now,
                                                   uint64_t keys_max) const {
  DueKeys due;
  // Starting at the earliest deadline skips the tombstones of rows that are gone, but never a row.
  const KeyInterval interval{.start = EncodeTtlKey(earliest_deadline_, ""), .end = ""};
  BoundedIterator iterator(families_, families_.ttl, snapshot_, interval, /*descending=*/false);
  for (; iterator.Valid(); iterator.Next()) {
    const std::optional<TtlRow> row = DecodeTtlKey(iterator.key());
    if (!row.has_value()) {
      return BadBytes("`ttl`", "a row makes no sense");
    }
    if (row->deadline > now || due.keys.size() == keys_max) {
      due.next_deadline = row->deadline;
      break;
    }
    due.keys.push_back({.deadline = row->deadline, .key = std::string(row->key)});
  }
  RAFTKV_RETURN_IF_ERROR(iterator.status("`ttl`"));
  return due;
}

}  // namespace raftkv::storage
