#include "storage/rocksdb_snapshot_reader.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "rocksdb/iterator.h"
#include "storage/disk_failure.h"

namespace raftkv::storage {

RocksDbSnapshotReader::RocksDbSnapshotReader(std::shared_ptr<const Generation> generation,
                                             const raft::SnapshotPoint& point,
                                             uint8_t chunk_version)
    : generation_(std::move(generation)),
      point_(point),
      chunk_version_(chunk_version),
      snapshot_(generation_->db->GetSnapshot()),
      cursors_(1) {
  ++generation_->snapshot_readers;
}

RocksDbSnapshotReader::~RocksDbSnapshotReader() {
  --generation_->snapshot_readers;
  generation_->db->ReleaseSnapshot(snapshot_);
}

uint64_t RocksDbSnapshotReader::EstimateBytes() const {
  uint64_t bytes = 0;
  for (rocksdb::ColumnFamilyHandle* const family : generation_->families()) {
    for (const std::string* property : {&rocksdb::DB::Properties::kEstimateLiveDataSize,
                                        &rocksdb::DB::Properties::kCurSizeAllMemTables}) {
      uint64_t value = 0;
      // What is not known does not count.
      static_cast<void>(generation_->db->GetIntProperty(family, *property, &value));
      bytes += value;
    }
  }
  return bytes;
}

absl::StatusOr<std::optional<std::string>> RocksDbSnapshotReader::ReadChunk(uint64_t number) {
  if (number < first_) {
    return absl::OutOfRangeError(absl::StrCat("chunk ", number,
                                              " of the snapshot cannot be read again: the first "
                                              "that can is chunk ",
                                              first_));
  }
  if (number - first_ >= cursors_.size()) {
    return absl::InvalidArgumentError(absl::StrCat("chunk ", number, " of the snapshot follows ",
                                                   first_ + cursors_.size() - 1,
                                                   ", which was not read"));
  }
  const bool is_newest = number - first_ == cursors_.size() - 1;
  Cursor cursor = cursors_[number - first_];
  if (cursor.at_end) {
    return std::optional<std::string>();
  }
  RAFTKV_ASSIGN_OR_RETURN(std::string chunk, ReadAt(&cursor));
  if (is_newest) {
    cursors_.push_back(std::move(cursor));
    // The next one does not count.
    if (cursors_.size() > kChunksReadAgain + 1) {
      cursors_.pop_front();
      ++first_;
    }
  }
  return std::optional<std::string>(std::move(chunk));
}

absl::StatusOr<std::string> RocksDbSnapshotReader::ReadAt(Cursor* cursor) const {
  SnapshotChunkBuilder chunk(cursor->totals, chunk_version_);
  while (cursor->family < FamiliesOf(chunk_version_)) {
    RAFTKV_ASSIGN_OR_RETURN(const bool is_done, AddFamily(cursor, &chunk));
    if (!is_done) {
      cursor->totals = chunk.totals();
      return chunk.Take();
    }
    ++cursor->family;
    cursor->key.clear();
  }
  chunk.AddEnd();
  cursor->at_end = true;
  return chunk.Take();
}

absl::StatusOr<bool> RocksDbSnapshotReader::AddFamily(Cursor* cursor,
                                                      SnapshotChunkBuilder* chunk) const {
  rocksdb::ColumnFamilyHandle* const family = generation_->families()[cursor->family];
  // One for each chunk: an old one would hold on to files and memtables that are obsolete by now.
  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  options.fill_cache = false;
  options.readahead_size = kChunkBytes;
  const std::unique_ptr<rocksdb::Iterator> iterator(generation_->db->NewIterator(options, family));
  for (iterator->Seek(cursor->key); iterator->Valid(); iterator->Next()) {
    if (!chunk->Add(cursor->family, ToView(iterator->key()), ToView(iterator->value()))) {
      cursor->key = iterator->key().ToString();
      return false;
    }
  }
  if (!iterator->status().ok()) {
    return ReadFailure(NameOf(family), iterator->status());
  }
  return true;
}

}  // namespace raftkv::storage
