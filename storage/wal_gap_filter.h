// WalGapFilter makes what RocksDB recovers after a power cut a prefix of what was written.
//
// RocksDB starts a new WAL file without syncing the old one. A power cut can then take the old
// file's tail and leave the newer file, and with kTolerateCorruptedTailRecords each file may end
// early: Open replays both and reports success over a hole. Every batch in a WAL carries the
// sequence number of its first change, and batches follow each other without a gap, so the hole
// shows. What lies behind it was never synced, because a sync covers all earlier files: dropping it
// loses nothing acknowledged.
//
//   batch := first_sequence:fixed64-le count:fixed32-le change*
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "rocksdb/wal_filter.h"
#include "rocksdb/write_batch.h"

namespace raftkv::storage {

// The sequence numbers of a batch's changes are `first` and the `count` - 1 after it.
struct BatchSequence {
  uint64_t first;
  uint64_t count;
};
BatchSequence ReadBatchSequence(const rocksdb::WriteBatch& batch);

// For one replay. Confined to the thread that opens the database.
class WalGapFilter final : public rocksdb::WalFilter {
 public:
  // `flushed` is the newest sequence number in the table files.
  // A replay that starts beyond it has lost its first file; it may start earlier,
  // since a WAL outlives the flush of some of its column families.
  explicit WalGapFilter(uint64_t flushed) : flushed_(flushed) {}

  const char* Name() const override { return "raftkv.WalGapFilter"; }
  WalProcessingOption LogRecordFound(unsigned long long log_number,  // NOLINT: RocksDB's own type.
                                     const std::string& log_file_name,
                                     const rocksdb::WriteBatch& batch,
                                     rocksdb::WriteBatch* new_batch, bool* batch_changed) override;

  // Whether replay stopped before the end.
  bool found_gap() const { return found_gap_; }

 private:
  const uint64_t flushed_;
  // What the next batch must start with; nothing before the first one.
  std::optional<uint64_t> expected_;
  bool found_gap_ = false;
};

}  // namespace raftkv::storage
