// DurabilityFence is a small file beside the database that remembers how far the database had come.
// A database can come back without what was synced: a file was deleted, emptied or cut, or an older
// copy was put in its place, and RocksDB opens it without a word. A member with such a database has
// forgotten votes and entries that others count on. The fence is how it notices.
//
//   FENCE := slot slot                        at 0 and kFenceSlotBytes
//   slot  := magic:8byte sequence data_id cluster_id member_id term vote durable_index
//            durable_term first_wal checksum  zero*; numbers are fixed64-le
//
// Record number n goes to slot n % 2, so a write that a crash tears leaves the record before it.
// The checksum is FNV-1a over all before it. On disk: frozen.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"
#include "raft/core/types.h"
#include "rocksdb/file_system.h"

namespace raftkv::storage {

// A page each, so that a torn one does not touch the other.
inline constexpr size_t kFenceSlotBytes = 4096;

// What the database held, durably.
struct FenceRecord {
  uint64_t data_id = 0;
  uint64_t cluster_id = 0;  // 0 before founding, as is member_id.
  uint64_t member_id = 0;
  raft::HardState hard_state;
  raft::EntryId durable;   // Of the log's last entry, or of an earlier one.
  uint64_t first_wal = 0;  // Number of the first WAL file of this opening (storage/wal_survey.h).

  friend bool operator==(const FenceRecord&, const FenceRecord&) = default;
};

// Thread-safe.
class DurabilityFence {
 public:
  // Makes or replaces the file. Durable on return.
  static absl::StatusOr<std::unique_ptr<DurabilityFence>> Create(
      std::shared_ptr<rocksdb::FileSystem> files, const std::string& path,
      const FenceRecord& record);
  // DataLoss when the file is missing or neither slot holds a record: no crash does that.
  static absl::StatusOr<std::unique_ptr<DurabilityFence>> Open(
      std::shared_ptr<rocksdb::FileSystem> files, const std::string& path);

  const std::string& path() const { return path_; }
  FenceRecord recorded() const;

  // Record replaces all, the others a part. Durable on return, with one write and one fdatasync,
  // or none when nothing changes; aborts when the disk fails. REQUIRES: what is recorded is durable
  // in the database, and `durable` is lowered before entries behind the new one are cut.
  void Record(const FenceRecord& record);
  void RecordMember(uint64_t cluster_id, uint64_t member_id);
  void RecordProgress(const raft::HardState& hard_state, const raft::EntryId& durable);

 private:
  DurabilityFence(std::shared_ptr<rocksdb::FileSystem> files, std::string path,
                  std::unique_ptr<rocksdb::FSRandomRWFile> file)
      : files_(std::move(files)), path_(std::move(path)), file_(std::move(file)) {}

  // Reads both slots; the newest record counts.
  absl::Status Load();
  void RecordLocked(const FenceRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const std::shared_ptr<rocksdb::FileSystem> files_;  // Outlives the file.
  const std::string path_;
  mutable Mutex mutex_;
  const std::unique_ptr<rocksdb::FSRandomRWFile> file_ ABSL_PT_GUARDED_BY(mutex_);
  FenceRecord recorded_ ABSL_GUARDED_BY(mutex_);
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;
};

// OK when `database`, what the database holds now, has all that was recorded; else DataLoss that
// says what is gone and what to do. `term_at_durable` is the term of the database's entry at
// recorded.durable.index, nothing when it has none there.
absl::Status CheckNothingLost(const std::string& fence_path, const FenceRecord& recorded,
                              const FenceRecord& database,
                              std::optional<raft::Term> term_at_durable);

// Bytes of one slot, and back; nothing for bytes that are no record.
std::string EncodeFenceSlot(uint64_t sequence, const FenceRecord& record);
struct FenceSlot {
  uint64_t sequence;
  FenceRecord record;
};
std::optional<FenceSlot> DecodeFenceSlot(absl::string_view bytes);

}  // namespace raftkv::storage
