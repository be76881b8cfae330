// Reads a generation as of one moment, chunk by chunk.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "raft/runtime/snapshot.h"
#include "rocksdb/db.h"
#include "storage/generation.h"
#include "storage/snapshot_chunk.h"

namespace raftkv::storage {

// How far before the newest chunk one can be read again.
inline constexpr uint64_t kChunksReadAgain = 256;

// REQUIRES: the database outlives it. Reads past the block cache, which it leaves to others.
class RocksDbSnapshotReader final : public raft::SnapshotReader {
 public:
  // The generation as of now, which is `point`, in chunks of a version (snapshot_chunk.h).
  RocksDbSnapshotReader(std::shared_ptr<const Generation> generation,
                        const raft::SnapshotPoint& point, uint8_t chunk_version);
  ~RocksDbSnapshotReader() override;
  RocksDbSnapshotReader(const RocksDbSnapshotReader&) = delete;
  RocksDbSnapshotReader& operator=(const RocksDbSnapshotReader&) = delete;

  raft::SnapshotPoint point() const override { return point_; }
  uint64_t EstimateBytes() const override;
  // InvalidArgument for a number beyond the one after the newest.
  absl::StatusOr<std::optional<std::string>> ReadChunk(uint64_t number) override;

 private:
  // Where a chunk begins: at the first row of a family whose key is at or after `key`.
  struct Cursor {
    size_t family = 0;
    std::string key;
    SnapshotTotals totals;
    bool at_end = false;  // Nothing follows, not even the end.
  };

  // Reads the chunk at a cursor, which then is where the next one begins.
  absl::StatusOr<std::string> ReadAt(Cursor* cursor) const;
  // Adds rows of the cursor's family until its end, or until the chunk is full: then returns false
  // and the cursor stands at the row that found no place.
  absl::StatusOr<bool> AddFamily(Cursor* cursor, SnapshotChunkBuilder* chunk) const;

  // Constant after construction.
  const std::shared_ptr<const Generation> generation_;
  const raft::SnapshotPoint point_;
  const uint8_t chunk_version_;
  const rocksdb::Snapshot* const snapshot_;

  // Where the chunks from number first_ on begin; the last one was not read yet.
  std::deque<Cursor> cursors_;
  uint64_t first_ = 0;
};

}  // namespace raftkv::storage
