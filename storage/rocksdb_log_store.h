// RocksDbLogStore keeps the Raft log and the hard state: its log thread is where their bytes reach
// the disk.
#pragma once

#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/waker.h"
#include "raft/runtime/log_store.h"
#include "storage/column_families.h"
#include "storage/reader_thread.h"

namespace raftkv::storage {

// Confined to the loop's thread, as LogStore says; owns the log thread, which alone writes and
// syncs, so that neither a write stall nor an fdatasync ever holds up the loop.
class RocksDbLogStore final : public raft::LogStore {
 public:
  // `last_index` is that of the last entry in the log, 0 when it is empty. Borrows everything;
  // `reader` ends before it.
  RocksDbLogStore(const ColumnFamilies& families, raft::LogIndex last_index, ReaderThread* reader,
                  Waker* waker);
  // Finishes queued writes.
  ~RocksDbLogStore() override;

  void Write(raft::LogWrite write) override;
  std::optional<raft::WriteId> TakeDurable() override;
  void Load(const raft::LoadEntries& request) override;
  std::vector<raft::LoadedEntries> TakeLoaded() override;

 private:
  void RunLogThread();
  // Makes all of them durable with one write and one sync.
  void Persist(const std::vector<raft::LogWrite>& writes);
  raft::LoadedEntries ReadEntries(const raft::LoadEntries& request) const;

  const ColumnFamilies families_;
  ReaderThread* const reader_;
  Waker* const waker_;

  Mutex mutex_;
  CondVar changed_;
  std::vector<raft::LogWrite> queue_ ABSL_GUARDED_BY(mutex_);
  std::optional<raft::WriteId> newly_durable_ ABSL_GUARDED_BY(mutex_);
  std::vector<raft::LoadedEntries> loaded_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  // Confined to the log thread.
  raft::LogIndex last_index_;

  std::thread log_thread_;
};

}  // namespace raftkv::storage
