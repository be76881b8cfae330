// DurabilityFence is a small file beside the database that remembers how far the database had come.
// A database can come back without what was written: a file was deleted, emptied or cut, a bit of
// it flipped, or an older copy was put in its place, and RocksDB opens it without a word. A member
// with such a database has forgotten votes and entries that others count on, or holds keys as they
// were long ago. The fence is how it notices.
//
//   FENCE    := synced synced written manifest manifest     each a slot, kFenceSlotBytes apart
//   synced, written := "raftkvF2" sequence data_id cluster_id member_id term vote durable_index
//                      durable_term first_wal checksum zero*
//   manifest := "raftkvM1" sequence mark mark checksum zero*       current, before
//   mark     := number bytes hash
//   numbers are fixed64-le
//
// Record number n of a pair goes to slot n % 2, so a write that a crash tears leaves the record
// before it. The one in `written` is not synced: a kill of the process leaves it, a power cut need
// not. The newest of the three counts. The checksum is FNV-1a over all before it. On disk: frozen.
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

// How far a MANIFEST, to which RocksDB only appends, had come: the StableHash of its first bytes.
struct ManifestMark {
  uint64_t number = 0;  // Of the file; 0 stands for none.
  uint64_t bytes = 0;
  uint64_t hash = 0;

  friend bool operator==(const ManifestMark&, const ManifestMark&) = default;
};

struct ManifestRecord {
  ManifestMark current;
  // The one before it, while CURRENT may still name that.
  ManifestMark before;

  friend bool operator==(const ManifestRecord&, const ManifestRecord&) = default;
};

// Thread-safe.
class DurabilityFence {
 public:
  // Makes or replaces the file. Durable on return.
  static absl::StatusOr<std::unique_ptr<DurabilityFence>> Create(
      std::shared_ptr<rocksdb::FileSystem> files, const std::string& path,
      const FenceRecord& record, const ManifestRecord& manifest);
  // DataLoss when the file is missing or holds no record of each kind: no crash does that.
  static absl::StatusOr<std::unique_ptr<DurabilityFence>> Open(
      std::shared_ptr<rocksdb::FileSystem> files, const std::string& path);

  const std::string& path() const { return path_; }
  FenceRecord recorded() const;
  ManifestRecord manifest() const;

  // Record replaces all, the others a part. Durable on return, with one write and one fdatasync,
  // or none when nothing changes; aborts when the disk fails. REQUIRES: what is recorded is durable
  // in the database, and `durable` is lowered before entries behind the new one are cut.
  void Record(const FenceRecord& record);
  void RecordMember(uint64_t cluster_id, uint64_t member_id);
  void RecordProgress(const raft::HardState& hard_state, const raft::EntryId& durable);
  // RecordProgress without the fdatasync: only a kill of the process is sure to leave it.
  void NoteProgress(const raft::HardState& hard_state, const raft::EntryId& durable);
  // The same as Record for the MANIFEST; no call of the others waits for it.
  void RecordManifest(const ManifestRecord& manifest);

 private:
  DurabilityFence(std::shared_ptr<rocksdb::FileSystem> files, std::string path,
                  std::unique_ptr<rocksdb::FSRandomRWFile> file)
      : files_(std::move(files)), path_(std::move(path)), file_(std::move(file)) {}

  // Reads all slots; the newest records count.
  absl::Status Load();
  void RecordLocked(const FenceRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void WriteSlot(size_t slot, const std::string& bytes, bool sync);

  const std::shared_ptr<rocksdb::FileSystem> files_;  // Outlives the file.
  const std::string path_;
  // Takes calls of several threads at once, as those of RocksDB's file systems do.
  const std::unique_ptr<rocksdb::FSRandomRWFile> file_;

  mutable Mutex mutex_;
  FenceRecord recorded_ ABSL_GUARDED_BY(mutex_);
  bool recorded_is_synced_ ABSL_GUARDED_BY(mutex_) = false;
  // Of recorded_, and of the last one in a `synced` slot.
  uint64_t sequence_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t synced_sequence_ ABSL_GUARDED_BY(mutex_) = 0;

  mutable Mutex manifest_mutex_;
  ManifestRecord manifest_ ABSL_GUARDED_BY(manifest_mutex_);
  uint64_t manifest_sequence_ ABSL_GUARDED_BY(manifest_mutex_) = 0;
};

// OK when `database`, what the database holds now, has all that was recorded; else DataLoss that
// says what is gone and what to do. `term_at_durable` is the term of the database's entry at
// recorded.durable.index, nothing when it has none there.
absl::Status CheckNothingLost(const std::string& fence_path, const FenceRecord& recorded,
                              const FenceRecord& database,
                              std::optional<raft::Term> term_at_durable);

// What an operator can do besides kRemedy; begins with a blank.
extern const char kKeepStopped[];

// Bytes of one slot, and back; nothing for bytes that are no record of that kind.
std::string EncodeFenceSlot(uint64_t sequence, const FenceRecord& record);
struct FenceSlot {
  uint64_t sequence;
  FenceRecord record;
};
std::optional<FenceSlot> DecodeFenceSlot(absl::string_view bytes);

std::string EncodeManifestSlot(uint64_t sequence, const ManifestRecord& record);
struct ManifestSlot {
  uint64_t sequence;
  ManifestRecord record;
};
std::optional<ManifestSlot> DecodeManifestSlot(absl::string_view bytes);

}  // namespace raftkv::storage
