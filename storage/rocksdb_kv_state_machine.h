// RocksDbKvStateMachine applies committed entries to RocksDB.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/waker.h"
#include "google/protobuf/arena.h"
#include "rocksdb/write_batch.h"
#include "storage/column_families.h"
#include "storage/command_semantics.h"
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
  raft::ClusterMillis earliest_deadline() const override { return earliest_deadline_; }
  void OnScanned(raft::LogIndex applied, raft::ClusterMillis next_deadline) override;
  const std::map<uint64_t, log::v1::MemberRecord>& member_records() const override {
    return member_records_;
  }

 private:
  struct Outcome {
    uint64_t origin;
    uint64_t sequence;
    std::string bytes;
  };
  // What a call of Apply has prepared; nothing of it is written yet.
  struct Run {
    RunOverlay overlay;
    AppliedState applied;
    std::vector<Outcome> outcomes;
    uint64_t commands = 0;
  };

  // Returns false when the table stalled; the run is then as before.
  bool PrepareEntry(const raft::Entry& entry, const raft::OutcomeObserver& observer, Run* run);
  bool PrepareCommands(const raft::Entry& entry, const raft::OutcomeObserver& observer, Run* run);
  // Returns false, and changes nothing, when RocksDB would have had to be waited for.
  bool Commit(const Run& run);
  // Brings what `stalled` will read into the block cache, then wakes the loop.
  void Warm(absl::Span<const raft::Entry> stalled);
  void NoteDeadline(raft::LogIndex index, raft::ClusterMillis deadline);

  const ColumnFamilies families_;
  ReaderThread* const reader_;
  Waker* const waker_;

  AppliedState applied_;
  std::map<uint64_t, log::v1::MemberRecord> member_records_;

  // Invariant: no row of `ttl` lies before it; 0 when there is no row.
  raft::ClusterMillis earliest_deadline_;
  // Deadlines written since the last scan, each with the last index of its run; both ascend, so the
  // front is the earliest after any index. At most kRecentDeadlinesMax.
  std::deque<std::pair<raft::LogIndex, raft::ClusterMillis>> recent_deadlines_;

  // Stalls of the entry after applied_ that a warmed cache did not end.
  int stalls_ = 0;
  // Set by the loop, cleared by the reader thread.
  std::atomic<bool> warming_{false};

  // Kept for their memory.
  google::protobuf::Arena arena_;
  rocksdb::WriteBatch batch_;
};

}  // namespace raftkv::storage
