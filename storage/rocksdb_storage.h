// RocksDbStorage is the Storage of a server: it opens the database, checks it, and owns its parts
// and threads.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/waker.h"
#include "base/worker_pool.h"
#include "rocksdb/db.h"
#include "storage/data_directory.h"
#include "storage/database_reader.h"
#include "storage/durability_fence.h"
#include "storage/generation.h"
#include "storage/manifest_watch.h"
#include "storage/own_families.h"
#include "storage/rocksdb_kv_state_machine.h"
#include "storage/rocksdb_log_store.h"
#include "storage/rocksdb_options.h"
#include "storage/snapshot_staging.h"
#include "storage/storage.h"
#include "storage/wal_gap_filter.h"
#include "storage/wal_survey.h"
#include "storage/work_counter.h"

namespace raftkv::storage {

// Confined to the loop's thread unless Storage says otherwise.
class RocksDbStorage final : public Storage {
 public:
  static absl::StatusOr<std::unique_ptr<Storage>> Open(const StorageOptions& options, Waker* waker);
  ~RocksDbStorage() override;

  uint64_t data_id() const override { return data_id_; }
  const std::string& member_name() const override { return member_name_; }
  uint64_t member_id() const override { return member_id_; }
  const std::optional<log::v1::ClusterConfiguration>& configuration() const override {
    return state_machine_->configuration();
  }
  void Found(const std::string& name, uint64_t member_id,
             const log::v1::ClusterConfiguration& configuration) override;
  const std::optional<RestoreRecord>& restored() const override { return restored_; }
  absl::Status FoundAnew() override;
  absl::StatusOr<raft::RestoredState> Restore() override;
  raft::ClusterReading restored_clock() const override { return restored_clock_; }
  void SaveClusterClock(const raft::ClusterReading& reading) override;
  raft::LogStore* log_store() override { return log_store_.get(); }
  kv::KvStateMachine* state_machine() override { return state_machine_.get(); }
  absl::Status MarkDiffering(absl::string_view what) override;
  absl::Status MarkRemoved(absl::string_view what) override;
  StorageMemory MemoryUse() const override { return memory_.Use(); }
  LogDiskCounts LogDisk() const override { return log_store_->counts(); }
  int64_t disk_reserve_bytes() const override { return options_.disk_reserve_bytes; }
  std::function<DatabaseFigures()> PrepareFigures() override;
  int64_t DiskBytes() const override;
  absl::StatusOr<DiskSpace> Space() const override { return FindDiskSpace(options_.data_dir); }
  void KeepBallast() override;
  void StopGivingBackSpace() override { db_->DisableManualCompaction(); }
  std::function<void()> PrepareToGiveBackSpace() override;

 private:
  RocksDbStorage(const StorageOptions& options, DataDirectory directory)
      : options_(options), memory_(options), directory_(std::move(directory)) {}

  absl::Status OpenDatabase();
  // Looks at the closed database without changing anything: its files must be whole, and all that
  // the fence recorded must be there. Returns the newest sequence number in its tables.
  absl::StatusOr<uint64_t> Inspect() const;
  absl::StatusOr<uint64_t> CheckInspected(const FenceRecord& fenced, const OwnFamilies& families,
                                          WalSurvey* survey) const;
  // Reads all that the members below hold and starts the parts.
  absl::Status Load(Waker* waker);
  // Drops what a crash left of states that are not this member's, which has `own_generation`.
  // REQUIRES: its families are taken.
  absl::Status DropStrayGenerations(uint64_t own_generation);
  // Makes the fence anew from what the database holds.
  absl::Status RaiseFence(const DatabaseReader& reader);
  DatabaseFigures LookAt(const Generation& generation) const;
  void GiveBackSpace(const Generation& generation) const;
  // Writes a family's tables anew, but for what need not be.
  void Compact(rocksdb::ColumnFamilyHandle* family) const;
  uint64_t PropertyOf(rocksdb::ColumnFamilyHandle* family, const std::string& name) const;
  bool HasSpaceFor(uint64_t bytes) const;

  // The file system gives none. KeepBallast's own.
  bool no_ballast_ = false;

  // Constant after Open.
  const StorageOptions options_;
  const DatabaseMemory memory_;
  // The lock goes last.
  DataDirectory directory_;
  std::unique_ptr<WalGapFilter> wal_filter_;
  // The environment that the database runs in goes through the watch.
  std::shared_ptr<ManifestWatch> manifest_watch_;
  std::unique_ptr<rocksdb::Env> env_;
  // Shared with the database, whose listener it is.
  const std::shared_ptr<WorkCounter> work_counter_ = std::make_shared<WorkCounter>();
  std::unique_ptr<rocksdb::DB> db_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
  OwnFamilies families_;
  // Null only while opening a directory that has none yet.
  std::unique_ptr<DurabilityFence> fence_;
  uint64_t data_id_ = 0;
  raft::ClusterReading restored_clock_;
  std::optional<RestoreRecord> restored_;

  // Set by Found.
  std::string member_name_;
  uint64_t member_id_ = 0;

  std::unique_ptr<SnapshotStaging> staging_;
  // Destroyed in the reverse of this order: the reader's jobs use the other two.
  std::unique_ptr<RocksDbLogStore> log_store_;
  std::unique_ptr<RocksDbKvStateMachine> state_machine_;
  std::unique_ptr<WorkerPool> reader_;
};

}  // namespace raftkv::storage
