// RocksDbKvStateMachine applies committed entries to RocksDB. An entry that needs what only the
// disk knows is prepared by the reader thread, which reads what the entry looks at and no more,
// each key once, however little the cache holds; the loop then only writes.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/waker.h"
#include "base/worker_pool.h"
#include "kv/counted_intervals.h"
#include "kv/earliest_deadline.h"
#include "kv/entry_applier.h"
#include "kv/kv_state_machine.h"
#include "kv/recent_digests.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "rocksdb/write_batch.h"
#include "storage/database_reader.h"
#include "storage/dead_intervals.h"
#include "storage/generation.h"
#include "storage/key_layout.h"
#include "storage/run_overlay.h"
#include "storage/snapshot_staging.h"

namespace raftkv::storage {

// Confined to the loop's thread.
class RocksDbKvStateMachine final : public kv::KvStateMachine {
 public:
  // `content` is what the generation holds. Borrows the rest; `reader` ends before it.
  RocksDbKvStateMachine(std::shared_ptr<const Generation> generation, GenerationContent content,
                        SnapshotStaging* staging, WorkerPool* reader, Waker* waker,
                        uint64_t header_cache_bytes, const kv::HistoryLimits& history_limits);

  // The member's state as of now.
  const std::shared_ptr<const Generation>& generation() const { return generation_; }
  // As of the applied index; nullopt before the founding.
  const std::optional<log::v1::ClusterConfiguration>& configuration() const {
    return configuration_;
  }
  // Configuration 0 is stored. REQUIRES: there was none.
  void OnFounded(const log::v1::ClusterConfiguration& configuration);

  size_t Apply(absl::Span<const raft::Entry> run, raft::OutcomeObserver* observer) override;
  const kv::RecentDigests& digests() const override { return digests_; }
  raft::EntryId applied() const override { return applied_.id; }
  std::unique_ptr<raft::SnapshotReader> TakeSnapshot() override;
  // REQUIRES: the member is founded.
  std::unique_ptr<raft::SnapshotWriter> StageSnapshot(const raft::SnapshotPoint& point) override;
  // Drops the old generation.
  bool Adopt(const raft::StagedSnapshot& snapshot) override;

  kv::CacheLookup GetCached(absl::string_view key, log::v1::StoredKeyValue* record) const override;
  std::shared_ptr<const kv::KvView> TakeView() override;
  std::optional<int64_t> KnownCount(const kv::KeyInterval& interval) override;
  uint64_t BeginCount(const kv::KeyInterval& interval) override { return counted_.Begin(interval); }
  void EndCount(uint64_t id, std::optional<int64_t> count) override { counted_.End(id, count); }
  int64_t revision() const override { return applied_.revision; }
  int64_t key_count() const override { return applied_.key_count; }
  int64_t expired_keys() const override { return expired_keys_; }
  const kv::LeaseTable& leases() const override { return leases_; }
  const kv::LeaseTotals& lease_totals() const override { return applied_.leases; }
  int64_t expired_leases() const override { return expired_leases_; }
  raft::ClusterMillis earliest_deadline() const override { return earliest_deadline_.value(); }
  void OnScanned(raft::LogIndex applied, raft::ClusterMillis next_deadline) override {
    earliest_deadline_.OnScanned(applied, next_deadline);
  }
  const std::map<uint64_t, log::v1::MemberRecord>& member_records() const override {
    return member_records_;
  }
  uint32_t cluster_version() const override { return applied_.cluster_version; }
  const kv::HistoryState& history() const override { return applied_.history; }
  std::shared_ptr<const kv::HistorySource> HistoryOnDisk() const override;
  void KeepEvents(bool keep) override;
  NewEvents TakeEvents() override;
  const std::string& too_new() const override { return too_new_; }

 private:
  // Entries as they will be written at once; nothing of them is written yet.
  struct Run {
    Run(std::shared_ptr<const Generation> generation, RunOverlay::Reads reads,
        const kv::AppliedState& applied, std::shared_ptr<const DeadIntervalMap> dead,
        const RecordHeaderCache* known, const kv::LeaseTable* leases,
        std::shared_ptr<const RequestPlaces> places)
        : overlay(std::move(generation), reads, std::move(dead), known, leases, std::move(places)),
          result{.applied = applied, .outcomes = {}, .too_new = {}} {}

    RunOverlay overlay;
    kv::AppliedRun result;
    size_t entries = 0;
  };

  // Adds entries to `run` until it is full; says what became of the last one that it tried. Touches
  // no field, so that the reader thread may call it.
  static kv::EntryFate Prepare(absl::Span<const raft::Entry> entries,
                               const raft::OutcomeObserver& observer, kv::EntryApplier* applier,
                               Run* run);
  // Has the reader thread prepare the entries after applied_ from the disk;
  // the run waits in read_run_ when it wakes the loop. Until then nothing is applied,
  // so the disk keeps what it reads.
  void PrepareOnReader(absl::Span<const raft::Entry> entries,
                       const raft::OutcomeObserver& observer);
  // Writes the run, tells its outcomes and returns the number of its entries. Returns 0, changing
  // nothing, when RocksDB would have had to be waited for.
  size_t Finish(Run* run, raft::OutcomeObserver* observer);
  bool Commit(Run* run);
  // Adds what is said of the history, and the end of what is too old. Whether that is a range
  // delete.
  bool WriteHistoryState(const kv::AppliedState& applied);
  // The files of what is removed from the history may go.
  void GiveBackHistory();
  // What the run, which is written now, says about where keys live.
  void NoteKeys(const RunOverlay& overlay);
  void TakeFindings();

  // Constant but for Adopt.
  std::shared_ptr<const Generation> generation_;
  SnapshotStaging* const staging_;
  WorkerPool* const reader_;
  Waker* const waker_;

  kv::AppliedState applied_;
  int64_t expired_keys_ = 0;
  int64_t expired_leases_ = 0;
  kv::RecentDigests digests_;
  std::optional<log::v1::ClusterConfiguration> configuration_;
  std::map<uint64_t, log::v1::MemberRecord> member_records_;
  std::string too_new_;
  bool keeps_events_ = false;
  NewEvents new_events_;

  // Of what is written, as applied_ is. The reader thread reads the leases while reading_ is set,
  // and nothing changes them then.
  kv::LeaseTable leases_;
  RecordHeaderCache headers_;
  // Null: not read yet.
  std::shared_ptr<const RequestPlaces> oldest_places_;
  kv::EarliestDeadline earliest_deadline_;
  DeadIntervals dead_;
  // Of views of generation_.
  std::shared_ptr<DeadIntervalFindings> findings_ = std::make_shared<DeadIntervalFindings>();
  kv::CountedIntervals counted_;

  // Set by the loop, cleared by the reader thread. While it is set, read_run_ and reader_applier_
  // belong to that thread.
  std::atomic<bool> reading_{false};
  // What the reader thread prepared and is not written yet.
  std::unique_ptr<Run> read_run_;
  kv::EntryApplier reader_applier_;

  // Kept for their memory.
  kv::EntryApplier applier_;
  rocksdb::WriteBatch batch_;
};

}  // namespace raftkv::storage
