// RocksDbLogStore keeps the Raft log and the hard state: its log thread is where their bytes reach
// the disk, and where the fence follows them.
//
// The fence is never ahead of the disk: it is written after the WAL is synced, and lowered before
// entries that it covers are cut. It knows of whatever is reported as durable: a changed term or
// vote is synced there first; of plain appends the fence is only written, which a kill of the
// process leaves and a power cut need not, and synced within kFenceLagMax.
#pragma once

#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/waker.h"
#include "base/worker_pool.h"
#include "raft/runtime/log_store.h"
#include "storage/durability_fence.h"
#include "storage/own_families.h"

namespace raftkv::storage {

// How far the fence on the disk may be behind entries that are durable.
inline constexpr MonotonicNanos kFenceLagMax = 100 * kNanosPerMilli;

// Confined to the loop's thread, as LogStore says; owns the log thread, which alone writes and
// syncs, so that neither a write stall nor an fdatasync ever holds up the loop.
class RocksDbLogStore final : public raft::LogStore {
 public:
  // `last` is the last entry in the log, {0, 0} when it is empty, and the fence has recorded it.
  // Borrows everything; `reader` ends before it.
  RocksDbLogStore(const OwnFamilies& families, raft::EntryId last, DurabilityFence* fence,
                  WorkerPool* reader, Waker* waker);
  // Finishes queued writes, then brings the fence up to them.
  ~RocksDbLogStore() override;

  void Write(raft::LogWrite write) override;
  std::optional<raft::WriteId> TakeDurable() override;
  void Load(const raft::LoadEntries& request) override;
  std::vector<raft::LoadedEntries> TakeLoaded() override;

 private:
  void RunLogThread();
  // Waits for writes, or until the fence is due. Returns false at the end.
  bool TakeQueue(std::vector<raft::LogWrite>* writes);
  // Makes all of them durable with one write and one sync, and the fence where it must not lag.
  void Persist(const std::vector<raft::LogWrite>& writes);
  void LowerFence(const std::vector<raft::LogWrite>& writes);
  void FollowWithFence();
  raft::Term ReadTerm(raft::LogIndex index) const;
  raft::LoadedEntries ReadEntries(const raft::LoadEntries& request) const;

  const OwnFamilies families_;
  DurabilityFence* const fence_;
  WorkerPool* const reader_;
  Waker* const waker_;

  Mutex mutex_;
  CondVar changed_;
  std::vector<raft::LogWrite> queue_ ABSL_GUARDED_BY(mutex_);
  std::optional<raft::WriteId> newly_durable_ ABSL_GUARDED_BY(mutex_);
  std::vector<raft::LoadedEntries> loaded_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // Confined to the log thread. What is durable, and since when the fence is behind it; nothing
  // when it is not.
  const SystemMonotonicClock clock_;
  raft::HardState hard_state_;
  raft::EntryId last_;
  std::optional<MonotonicNanos> fence_behind_since_;

  std::thread log_thread_;
};

}  // namespace raftkv::storage
