// Storage is one member's data directory: a RocksDB with the Raft log, the applied keys and what
// the member must remember about itself. It opens, checks and owns it, and hands out the parts that
// the rest of the server works with.
//
//   <data_dir>/FORMAT   "raftkv <version>\n"; written last, so it marks a complete directory
//   <data_dir>/LOCK     held by flock while a process uses the directory
//   <data_dir>/FENCE    how far the database had come; storage/durability_fence.h has its bytes
//   <data_dir>/db/      RocksDB; storage/key_layout.h has its column families and keys
//   <data_dir>/db.staging/   what is coming in of a snapshot; storage/snapshot_staging.h
//   <data_dir>/REMOVED  only of a member that was removed from its cluster: says so
//   <data_dir>/BALLAST  takes up space, so that a start on a full disk has some; storage/ballast.h
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/waker.h"
#include "kv/history.h"
#include "kv/kv_state_machine.h"
#include "raft/core/raft_core.h"
#include "raft/runtime/cluster_clock.h"
#include "raft/runtime/log_store.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "storage/database_figures.h"
#include "storage/restore_record.h"

namespace rocksdb {
class Env;
}  // namespace rocksdb

namespace raftkv::storage {

struct StorageOptions {
  std::string data_dir;
  // Free space that is left to whatever frees space: with less than half of it no snapshot comes
  // in. A quarter of it, or less, is the ballast. 0: neither.
  int64_t disk_reserve_bytes = 0;
  // Entries that a restart brings back into memory, newest first;
  // more when they are not applied yet.
  uint64_t log_memory_bytes_max = 64 << 20;
  // RocksDB sizes; small in tests so that files switch often. All members flush the same bytes at
  // about the same moment, and the slowest writes are those that meet a flush: larger buffers make
  // them rarer, and flush each key that was written over but once. What is not flushed is replayed
  // at a start, so the WAL's bound is one on that time too, and both families fit into it.
  uint64_t write_buffer_bytes = 64 << 20;
  uint64_t log_write_buffer_bytes = 64 << 20;
  uint64_t wal_bytes_max = 256 << 20;
  // Of blocks of files with their indexes and filters, and of the write buffers, which take their
  // room from it.
  uint64_t cache_bytes = 256 << 20;
  // Of headers of records that are likely to be written again.
  uint64_t header_cache_bytes = 16 << 20;
  // How much of the history is kept: only tests set it, for all members must keep the same.
  kv::HistoryLimits history_limits = {};
  // Hears on the log thread how long each sync of the log took; null: nobody does.
  std::function<void(MonotonicNanos took)> on_sync = nullptr;
  // Where the files are, but for the directory itself and LOCK; null is the machine's file system.
  // Only tests set it, to put a disk in its place that fails. Outlives the storage.
  rocksdb::Env* env = nullptr;
};

// What RocksDB holds in memory, in bytes.
struct StorageMemory {
  uint64_t cached_blocks = 0;  // Of files, with indexes and filters.
  uint64_t write_buffers = 0;
};

// Lessens RocksDB's sizes, which are those of a reserve of 1 GiB, as far as the reserve is less:
// flushes and compactions write before they delete, and what they have written twice must fit into
// it.
void FitToReserve(StorageOptions* options);

// Of a file system, for whoever is not root.
struct DiskSpace {
  int64_t free_bytes = 0;
  int64_t total_bytes = 0;
};

// Of the file system that holds `path`, or will: it need not be there yet. Thread-safe; touches the
// disk. Fails with what the system says.
absl::StatusOr<DiskSpace> FindDiskSpace(const std::string& path);

// Everything but `Open` is confined to the loop's thread unless it says otherwise.
class Storage {
 public:
  // Whether the directory holds data: whether it was ever opened. Changes nothing.
  static bool HoldsData(const std::string& data_dir);
  // Opens the directory, making it (mode 0700) when absent or empty of raftkv's data; "lost+found"
  // does not count. Fails without changing anything, with a message that names the file and the
  // remedy: FailedPrecondition when another process holds it or its format version is not ours;
  // DataLoss when it is corrupted or incomplete, or has lost what its fence recorded. `waker` is
  // woken, from any thread, when log writes, loads or a stalled apply have something to report.
  static absl::StatusOr<std::unique_ptr<Storage>> Open(const StorageOptions& options, Waker* waker);
  // Finishes queued log writes, then closes. REQUIRES: views, and readers, writers and staged
  // states of snapshots, are gone.
  virtual ~Storage() = default;

  // Random, made with the directory and synced before Open returned; never 0.
  virtual uint64_t data_id() const = 0;
  // What Found stored; empty name and 0 before.
  virtual const std::string& member_name() const = 0;
  virtual uint64_t member_id() const = 0;
  // As of the applied index: configuration 0, or the last one that was applied; nullopt before the
  // founding. Stays in its place, also when a snapshot brings another.
  virtual const std::optional<log::v1::ClusterConfiguration>& configuration() const = 0;
  // Stores who this member is and configuration 0, synced, once. REQUIRES: not founded yet.
  virtual void Found(const std::string& name, uint64_t member_id,
                     const log::v1::ClusterConfiguration& configuration) = 0;

  // What it was made from; nullopt: not from a backup. Thread-safe.
  virtual const std::optional<RestoreRecord>& restored() const = 0;
  // Makes this member the only voter of a new cluster and ends the log at what is applied, in one
  // synced batch (storage/recovery.h). Until the next opening there is no fence. Fails, changing
  // nothing, when the directory cannot be changed. REQUIRES: founded, and all of the log is
  // applied. The last call.
  virtual absl::Status FoundAnew() = 0;

  // What the core starts from, `configuration` left empty (it is configuration()'s ids, which the
  // caller converts). DataLoss when log and applied state do not fit together. Call once.
  virtual absl::StatusOr<raft::RestoredState> Restore() = 0;
  // The raft::RestoredReading of what was saved and of the log's end.
  virtual raft::ClusterReading restored_clock() const = 0;
  // Saves what the cluster clock shows, unsynced, and skips it rather than wait for the disk.
  virtual void SaveClusterClock(const raft::ClusterReading& reading) = 0;

  virtual raft::LogStore* log_store() = 0;
  virtual kv::KvStateMachine* state_machine() = 0;

  // Durably marks the directory as one whose state is wrong, so that no start uses it again; `what`
  // says how that was found. Waits for the disk: it is the last thing that a process does.
  virtual absl::Status MarkDiffering(absl::string_view what) = 0;

  // The same for the directory of a member that was removed from its cluster; `what` says so, and
  // what to do.
  virtual absl::Status MarkRemoved(absl::string_view what) = 0;

  // Thread-safe; waits for nothing.
  virtual StorageMemory MemoryUse() const = 0;
  // Thread-safe; waits for nothing.
  virtual LogDiskCounts LogDisk() const = 0;
  // StorageOptions'.
  virtual int64_t disk_reserve_bytes() const = 0;

  // Work for any thread but the loop that looks how the database is then. Gone before the storage
  // is.
  virtual std::function<DatabaseFigures()> PrepareFigures() = 0;

  // These are thread-safe, and touch the disk.

  // Bytes of all files in the data directory but the ballast.
  virtual int64_t DiskBytes() const = 0;
  // Of its file system.
  virtual absl::StatusOr<DiskSpace> Space() const = 0;
  // Makes the ballast where it is missing and the reserve stays free all the same. One at a time.
  virtual void KeepBallast() = 0;
  // Ends what PrepareToGiveBackSpace returned, now and for ever, soon.
  virtual void StopGivingBackSpace() = 0;

  // Work for any thread but the loop that gives back the space of what was deleted, which may take
  // minutes: what is in memory is written, so that the write-ahead log goes, and tables are written
  // anew without what died. It needs space itself, which the reserve has (FitToReserve). One at a
  // time; gone before the storage is.
  virtual std::function<void()> PrepareToGiveBackSpace() = 0;
};

}  // namespace raftkv::storage
