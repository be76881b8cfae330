// RocksDbKvStateMachine applies committed entries to RocksDB.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "base/waker.h"
#include "rocksdb/write_batch.h"
#include "storage/column_families.h"
#include "storage/earliest_deadline.h"
#include "storage/entry_applier.h"
#include "storage/key_layout.h"
#include "storage/kv_state_machine.h"
#include "storage/reader_thread.h"
#include "storage/run_overlay.h"

namespace raftkv::storage {

// Confined to the loop's thread.
class RocksDbKvStateMachine final : public KvStateMachine {
 public:
  // What is in the database. `earliest_deadline` is the first row's of `ttl`, 0 when there is none.
  // Borrows everything; `reader` ends before it.
  RocksDbKvStateMachine(const ColumnFamilies& families, const AppliedState& applied,
                        raft::ClusterMillis earliest_deadline,
                        std::map<uint64_t, log::v1::MemberRecord> member_records,
                        ReaderThread* reader, Waker* waker);

  size_t Apply(absl::Span<const raft::Entry> run, raft::OutcomeObserver* observer) override;
  raft::EntryId applied() const override { return applied_.id; }

  CacheLookup GetCached(absl::string_view key, log::v1::StoredKeyValue* record) const override;
  std::shared_ptr<const KvView> TakeView() const override;
  int64_t revision() const override { return applied_.revision; }
  int64_t key_count() const override { return applied_.key_count; }
  raft::ClusterMillis earliest_deadline() const override { return earliest_deadline_.value(); }
  void OnScanned(raft::LogIndex applied, raft::ClusterMillis next_deadline) override {
    earliest_deadline_.OnScanned(applied, next_deadline);
  }
  const std::map<uint64_t, log::v1::MemberRecord>& member_records() const override {
    return member_records_;
  }

 private:
  // What a call of Apply has prepared; nothing of it is written yet.
  struct Run {
    RunOverlay overlay;
    AppliedRun result;
  };

  // Returns false, and changes nothing, when RocksDB would have had to be waited for.
  bool Commit(const Run& run);
  // Brings what `stalled` will read into the block cache, then wakes the loop.
  void Warm(absl::Span<const raft::Entry> stalled);

  const ColumnFamilies families_;
  ReaderThread* const reader_;
  Waker* const waker_;

  AppliedState applied_;
  std::map<uint64_t, log::v1::MemberRecord> member_records_;

  EarliestDeadline earliest_deadline_;

  // Stalls of the entry after applied_ that a warmed cache did not end.
  int stalls_ = 0;
  // Set by the loop, cleared by the reader thread.
  std::atomic<bool> warming_{false};

  // Kept for their memory.
  EntryApplier applier_;
  rocksdb::WriteBatch batch_;
};

}  // namespace raftkv::storage
