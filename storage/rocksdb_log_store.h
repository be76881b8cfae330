// RocksDbLogStore keeps the Raft log and the hard state: its log thread is where their bytes reach
// the disk, and where the fence follows them.
//
// The fence is never ahead of the disk: it is written after the WAL is synced, and lowered before
// entries that it covers are cut. It knows of whatever is reported as durable: a changed term or
// vote is synced there first; of plain appends the fence is only written, which a kill of the
// process leaves and a power cut need not, and synced within kFenceLagMax.
//
// A trim deletes rows, and gives whole files that hold nothing else back at once. Rows in what is
// left of older files may come to light again by that, so nobody reads before the log's start.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/waker.h"
#include "base/worker_pool.h"
#include "raft/runtime/log_store.h"
#include "storage/database_figures.h"
#include "storage/durability_fence.h"
#include "storage/key_layout.h"
#include "storage/log_sizes.h"
#include "storage/own_families.h"
#include "storage/snapshot_staging.h"

namespace raftkv::storage {

// How far the fence on the disk may be behind entries that are durable.
inline constexpr MonotonicNanos kFenceLagMax = 100 * kNanosPerMilli;

// Confined to the loop's thread, as LogStore says; owns the log thread, which alone writes and
// syncs, so that neither a write stall nor an fdatasync ever holds up the loop.
class RocksDbLogStore final : public raft::LogStore {
 public:
  // `start` is the entry before the first in the log, and `last` the last one, which is `start`
  // when it is empty; the fence has recorded it. `on_sync` is StorageOptions'. Borrows everything;
  // `reader` ends before it.
  RocksDbLogStore(const OwnFamilies& families, raft::LogIndex start, raft::EntryId last,
                  DurabilityFence* fence, WorkerPool* reader, Waker* waker,
                  std::function<void(MonotonicNanos took)> on_sync);
  // Finishes queued writes, then brings the fence up to them.
  ~RocksDbLogStore() override;

  void Write(raft::LogWrite write) override;
  std::optional<raft::WriteId> TakeDurable() override;
  void Load(const raft::LoadEntries& request) override;
  std::vector<raft::LoadedEntries> TakeLoaded() override;
  void Trim(raft::LogIndex through) override;
  raft::LogIndex FirstOfNewest(uint64_t bytes) const override;
  // REQUIRES: the state machine of the same storage staged it.
  void Install(std::shared_ptr<raft::StagedSnapshot> snapshot, bool keeps_log) override;
  std::shared_ptr<raft::StagedSnapshot> TakeInstalled() override;

  // Thread-safe.
  LogDiskCounts counts() const;

 private:
  // What the log thread does at once, in this order.
  struct Work {
    std::vector<raft::LogWrite> writes;
    std::shared_ptr<RocksDbStagedSnapshot> snapshot;  // To install.
    bool keeps_log = false;
    raft::LogIndex trim_through;

    bool is_empty() const {
      return writes.empty() && snapshot == nullptr && trim_through.value() == 0;
    }
  };

  void RunLogThread();
  // Waits for work, or until the fence is due. Returns false at the end.
  bool TakeQueue(Work* work);
  // Makes all of them durable with one write and one sync, and the fence where it must not lag.
  void Persist(const std::vector<raft::LogWrite>& writes);
  // And counts how that went.
  void WriteAndSync(uint64_t entries, rocksdb::WriteBatch* batch);
  void InstallNow(const RocksDbStagedSnapshot& snapshot, bool keeps_log);
  // The state that holds what the entries did is durable before this is.
  void TrimNow(raft::LogIndex through);
  // Deletes the entries of the log up to `through`, which is not before its start, and has it begin
  // after `start`.
  void AddTrim(raft::LogIndex through, const LogEdge& start, rocksdb::WriteBatch* batch);
  void GiveBackFiles();
  // To `kept` if it stands behind that.
  void LowerFence(raft::LogIndex kept);
  void FollowWithFence();
  void WriteUnsynced(const char* what, rocksdb::WriteBatch* batch);
  // How long it took.
  MonotonicNanos SyncWal();
  LogEdge ReadEdge(raft::LogIndex index) const;
  // As RocksDB estimates them.
  void MeasureSizes();
  raft::Term ReadTerm(raft::LogIndex index) const;
  raft::LoadedEntries ReadEntries(const raft::LoadEntries& request) const;

  const OwnFamilies families_;
  DurabilityFence* const fence_;
  WorkerPool* const reader_;
  Waker* const waker_;
  const std::function<void(MonotonicNanos took)> on_sync_;

  mutable Mutex mutex_;
  CondVar changed_;
  Work queue_ ABSL_GUARDED_BY(mutex_);
  std::optional<raft::WriteId> newly_durable_ ABSL_GUARDED_BY(mutex_);
  std::vector<raft::LoadedEntries> loaded_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<raft::StagedSnapshot> installed_ ABSL_GUARDED_BY(mutex_);
  LogSizes sizes_ ABSL_GUARDED_BY(mutex_);
  LogDiskCounts counts_ ABSL_GUARDED_BY(mutex_);
  raft::LogIndex first_ ABSL_GUARDED_BY(mutex_);  // Where the log begins, or will.
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // Confined to the log thread. What is durable, and since when the fence is behind it; nothing
  // when it is not.
  const SystemMonotonicClock clock_;
  raft::HardState hard_state_;
  raft::LogIndex start_;
  raft::EntryId last_;
  std::optional<MonotonicNanos> fence_behind_since_;

  std::thread log_thread_;
};

}  // namespace raftkv::storage
