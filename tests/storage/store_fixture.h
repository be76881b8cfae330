// What storage tests share: a Storage in a directory of its own, entries to feed it, and a look at
// the bytes below.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "base/waker.h"
#include "raft/core/types.h"
#include "raft/runtime/state_machine.h"
#include "raftkv/log/v1/command.pb.h"
#include "storage/key_layout.h"
#include "storage/storage.h"
#include "tests/support/temp_dir.h"

namespace raftkv::storage {

using integration::TempDir;

// Thread-safe.
class CountingWaker final : public Waker {
 public:
  void Wake() override;
  // Waits until Wake was called more often than `count`, which is what an earlier call returned.
  int AwaitMoreThan(int count);
  int count();

 private:
  Mutex mutex_;
  CondVar woken_;
  int count_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Hears every outcome.
class RecordingObserver final : public raft::OutcomeObserver {
 public:
  bool Wants(uint64_t origin, uint64_t sequence) const override;
  void OnOutcome(uint64_t origin, uint64_t sequence, std::string outcome) override;

  // Only these origins are wanted; all at first.
  uint64_t unwanted_origin = 0;
  std::vector<std::pair<uint64_t, uint64_t>> ids;
  std::vector<log::v1::CommandOutcome> outcomes;
};

// Commands, and what they are made of.
log::v1::Guard Exists(const std::string& key, bool exists);
log::v1::Command Txn(std::vector<log::v1::Guard> guards,
                     std::vector<log::v1::Operation> operations);
log::v1::Operation PutOp(const std::string& key, const std::string& value);
log::v1::Operation PutTtlOp(const std::string& key, const std::string& value, uint64_t ttl_ms);
log::v1::Operation KeepTtlOp(const std::string& key, const std::string& value);
log::v1::Operation DeleteOp(const std::string& key);
log::v1::Operation DeleteRangeOp(const std::string& start, const std::string& end);
log::v1::Command Put(const std::string& key, const std::string& value);
log::v1::Command PutTtl(const std::string& key, const std::string& value, uint64_t ttl_ms);
log::v1::Command Delete(const std::string& key);
log::v1::Command Expire(uint64_t start_deadline_ms, const std::string& start_key,
                        uint64_t keys_max);
log::v1::Command RaiseVersion(uint32_t version);

// Entries of term 1 unless told; the payload's commands have origin 7 and sequences from 1.
raft::Entry CommandEntry(uint64_t index, const std::vector<log::v1::Command>& commands,
                         uint64_t stamp = 1000, uint64_t term = 1);
raft::Entry NoOpEntry(uint64_t index, uint64_t term = 1);

// Member 1 as the only voter of cluster 77.
log::v1::ClusterConfiguration FoundingConfiguration();

// Hands all chunks over, and finishes.
absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> StageWith(
    raft::SnapshotWriter* writer, const std::vector<std::string>& chunks);

// A Storage that small writes already make switch files. Reopen closes it and opens it again.
class Store {
 public:
  explicit Store(std::string data_dir);

  // Fails the test when it does not open.
  void Open();
  absl::Status TryOpen();
  void Close() { storage_.reset(); }
  void Reopen();

  Storage& storage() { return *storage_; }
  kv::KvStateMachine& machine() { return *storage_->state_machine(); }
  CountingWaker& waker() { return waker_; }
  StorageOptions& options() { return options_; }
  const std::string& data_dir() const { return options_.data_dir; }
  std::string database_path() const { return options_.data_dir + "/db"; }

  // Hands these over at once, giving them ids, and waits for all to be durable.
  void Write(std::vector<raft::LogWrite> writes);
  // Appends durably, with the hard state's term following the entries'.
  void Append(const std::vector<raft::Entry>& entries);
  // Waits for everything written to be durable.
  void AwaitDurable(raft::WriteId id);
  // Appends nothing; applies all entries, retrying while the state machine asks for it.
  std::vector<log::v1::CommandOutcome> Apply(const std::vector<raft::Entry>& entries);
  // Appends and applies one entry of commands after the last applied one.
  std::vector<log::v1::CommandOutcome> Run(const std::vector<log::v1::Command>& commands,
                                           uint64_t stamp = 1000);

  // Stores who this member is: member 1 of cluster 77, alone.
  void Found();
  // Trims, and waits until that has happened.
  void Trim(uint64_t through);
  // The state as of now as a snapshot's chunks.
  std::vector<std::string> ReadSnapshot();
  // Stages chunks as the state at `point`.
  absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> Stage(
      const raft::SnapshotPoint& point, const std::vector<std::string>& chunks);
  // Makes it the member's state, and waits for that.
  void Install(std::shared_ptr<raft::StagedSnapshot> snapshot, bool keeps_log);
  // Opens an empty directory and gives it the state of `other`, by a snapshot and without a log.
  void BeginWith(Store* other);
  // Where the applied state stands.
  raft::SnapshotPoint Point() { return machine().TakeSnapshot()->point(); }
  // What the log store loads from an index on.
  raft::LoadedEntries Load(uint64_t first, uint64_t bytes_max = 1 << 20);

  // Every record by key, through a view.
  std::map<std::string, log::v1::StoredKeyValue> Records();
  // Value of a key, "(absent)" when there is none.
  std::string Value(const std::string& key);
  // Rows of `ttl`, as found by a view.
  std::vector<std::pair<uint64_t, std::string>> TtlRows();

 private:
  StorageOptions options_;
  CountingWaker waker_;
  std::unique_ptr<Storage> storage_;
  uint64_t next_write_ = 1;
};

// A test of one open store.
class OpenStoreTest : public testing::Test {
 protected:
  OpenStoreTest() : store_(dir_.File("data")) { store_.Open(); }

  log::v1::CommandOutcome Run(const log::v1::Command& command, uint64_t stamp = 1000) {
    return store_.Run({command}, stamp).at(0);
  }
  log::v1::StoredKeyValue Record(const std::string& key) { return store_.Records()[key]; }

  TempDir dir_;
  Store store_;
};

using FamilyRows = std::map<std::string, std::string>;
// All rows of a column family of a closed database, as bytes.
FamilyRows DumpFamily(const std::string& database_path, const std::string& family);
// Flushes the memtables of a closed database's column families into table files.
void FlushAll(const std::string& database_path);
// Writes a row, or deletes it, as no code of raftkv would, to see whether a start notices.
void OverwriteRow(const std::string& database_path, const std::string& family,
                  const std::string& key, const std::optional<std::string>& value);
// Names of a closed database's column families.
std::vector<std::string> ListFamilies(const std::string& database_path);
// Trims a closed database's log as a server does: everything up to and with `edge` goes, by a range
// delete that stays in the WAL.
void TrimLog(const std::string& database_path, const LogEdge& edge);
// Makes the families of another generation, with a row in each.
void AddGeneration(const std::string& database_path, uint64_t generation);
// Takes a family from a closed database.
void DropFamily(const std::string& database_path, const std::string& name);
// Paths of a database's files with this ending, by number.
std::vector<std::string> FilesWithSuffix(const std::string& database_path,
                                         const std::string& suffix);

}  // namespace raftkv::storage
