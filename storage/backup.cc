#include "storage/backup.h"

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "base/worker_pool.h"
#include "glog/logging.h"
#include "kv/backup_file.h"
#include "kv/state_hash.h"
#include "raft/runtime/cluster_clock.h"
#include "rocksdb/env.h"
#include "rocksdb/write_batch.h"
#include "storage/data_directory.h"
#include "storage/database_opening.h"
#include "storage/disk_failure.h"
#include "storage/file_io.h"
#include "storage/generation.h"
#include "storage/key_layout.h"
#include "storage/restore_record.h"
#include "storage/revision_jump.h"
#include "storage/rocksdb_snapshot_writer.h"
#include "storage/snapshot_check.h"
#include "storage/snapshot_chunk.h"
#include "storage/snapshot_staging.h"

namespace raftkv::storage {
namespace {

// Of a generation that is given up, at most one.
constexpr size_t kDropsMax = 4;

class NobodyToWake final : public Waker {
 public:
  void Wake() override {}
};

raft::SnapshotPoint PointOf(const v1::BackupManifest& manifest) {
  return {.last = {.term = raft::Term(manifest.term()), .index = raft::LogIndex(manifest.index())},
          .stamp = raft::ClusterMillis(manifest.stamp())};
}

// What is wrong with the state in a backup, as a failure of the backup.
absl::Status InBackup(const std::string& path, const absl::Status& status) {
  if (absl::IsInvalidArgument(status)) {
    return absl::DataLossError(absl::StrCat(path, " is damaged: ", status.message()));
  }
  return absl::Status(status.code(), absl::StrCat(path, ": ", status.message()));
}

absl::Status ReadChunks(const std::string& path, kv::BackupReader* reader,
                        absl::FunctionRef<absl::Status(const std::string& chunk)> visit) {
  while (true) {
    RAFTKV_ASSIGN_OR_RETURN(const std::optional<std::string> chunk, reader->ReadChunk());
    if (!chunk.has_value()) {
      return absl::OkStatus();
    }
    if (const absl::Status visited = visit(*chunk); !visited.ok()) {
      return InBackup(path, visited);
    }
  }
}

// Whether the head of a backup tells of the state that follows it.
absl::Status CheckManifest(const std::string& path, const v1::BackupManifest& manifest,
                           const kv::AppliedState& applied) {
  if (manifest.revision() != applied.revision || manifest.key_count() != applied.key_count ||
      manifest.cluster_version() != applied.cluster_version ||
      manifest.state_hash() != kv::StateHash(applied)) {
    return absl::DataLossError(absl::StrCat(
        path, " is damaged: it says that it holds ", manifest.key_count(), " keys at revision ",
        manifest.revision(), ", and holds ", applied.key_count, " at ", applied.revision));
  }
  if (applied.revision > std::numeric_limits<int64_t>::max() - kRevisionJump) {
    return absl::DataLossError(absl::StrCat(path, " is at revision ", applied.revision,
                                            ", after which there are not enough"));
  }
  return absl::OkStatus();
}

class Restore {
 public:
  Restore(const std::string& path, const RestoreOptions& options, kv::BackupReader reader)
      : path_(path), options_(options), reader_(std::move(reader)) {}

  absl::StatusOr<BackupContent> Run() {
    rocksdb::Env* const env =
        options_.storage.env == nullptr ? rocksdb::Env::Default() : options_.storage.env;
    {
      RAFTKV_ASSIGN_OR_RETURN(DataDirectory directory,
                              DataDirectory::Open(options_.storage.data_dir, env->GetFileSystem()));
      if (directory.has_database()) {
        return absl::FailedPreconditionError(
            absl::StrCat(options_.storage.data_dir,
                         " holds a member's data already: restore into an empty or new directory"));
      }
      RAFTKV_ASSIGN_OR_RETURN(const std::string database, directory.StartDatabase());
      const std::string staging = absl::StrCat(database, "/restore");
      absl::Status made = CreateDatabase(
          options_.storage, database,
          [&](rocksdb::DB* db, FamilyHandles* handles) { return Fill(db, handles, staging); });
      if (made.ok()) {
        made = RemoveTree(directory.files(), staging);
      }
      if (!made.ok()) {
        RAFTKV_RETURN_IF_ERROR(RemoveTree(directory.files(), database));
        return made;
      }
      RAFTKV_RETURN_IF_ERROR(directory.FinishDatabase());
    }
    // The first opening makes the directory complete, and proves what is in it.
    NobodyToWake waker;
    RAFTKV_RETURN_IF_ERROR(Storage::Open(options_.storage, &waker).status());
    return BackupContent{.manifest = reader_.manifest(),
                         .bytes = reader_.bytes(),
                         .backup_id = reader_.checksum(),
                         .deadlines = deadlines_};
  }

 private:
  absl::Status Fill(rocksdb::DB* db, FamilyHandles* handles, const std::string& staging_path) {
    RAFTKV_ASSIGN_OR_RETURN(const OwnFamilies families, FindOwnFamilies(db, *handles));
    RAFTKV_ASSIGN_OR_RETURN(const std::shared_ptr<const Generation> empty,
                            Generation::Take(db, kFirstGeneration, handles));
    WorkerPool pool(/*threads=*/1, kDropsMax);
    SnapshotStaging staging(families, staging_path, /*free_bytes_min=*/0, kFirstGeneration + 1,
                            &pool);
    const raft::SnapshotPoint point = PointOf(reader_.manifest());
    RocksDbSnapshotWriter writer(point, reader_.manifest().cluster_id(), empty, &staging);
    RAFTKV_RETURN_IF_ERROR(
        ReadChunks(path_, &reader_, [&](const std::string& chunk) { return writer.Write(chunk); }));
    absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> finished = writer.Finish();
    if (!finished.ok()) {
      return InBackup(path_, finished.status());
    }
    auto& staged = static_cast<RocksDbStagedSnapshot&>(**finished);
    deadlines_ = writer.deadlines();
    const absl::Status adopted = Adopt(families, staged);
    pool.Stop();
    return adopted;
  }

  // Makes the staged state that of a member that has yet to be founded.
  absl::Status Adopt(const OwnFamilies& families, RocksDbStagedSnapshot& staged) {
    const GenerationContent& content = staged.content();
    RAFTKV_RETURN_IF_ERROR(CheckManifest(path_, reader_.manifest(), content.applied));
    const kv::AppliedState& applied = content.applied;
    const LogEdge edge{.id = applied.id, .stamp = applied.stamp};
    const raft::ClusterReading clock{
        .term = applied.id.term, .time = raft::ClusterMillis(reader_.manifest().cluster_time())};
    const RestoreRecord record{.backup_id = reader_.checksum(),
                               .name = options_.name,
                               .initial_cluster = options_.initial_cluster};
    const Generation& generation = *staged.generation();
    rocksdb::WriteBatch batch;
    const auto check = [](const rocksdb::Status& built) { CHECK(built.ok()) << built.ToString(); };
    check(batch.Put(families.meta, kGenerationKey, EncodeNumber(generation.number)));
    check(batch.Put(families.meta, kLogStartKey, EncodeLogEdge(edge)));
    check(batch.Put(families.meta, kHardStateKey,
                    EncodeHardState({.term = applied.id.term, .vote = {}})));
    check(batch.Put(families.meta, kClusterClockKey, EncodeClusterReading(clock)));
    check(batch.Put(families.meta, kRestoredKey, EncodeRestoreRecord(record)));
    JumpRevisions(generation, applied, &batch);
    // Who the members were says nothing about who they are going to be.
    check(batch.Delete(generation.state, kConfigurationKey));
    for (const auto& [id, member] : content.member_records) {
      check(batch.Delete(generation.state, EncodeMemberRecordKey(id)));
    }
    const rocksdb::Status written = families.db->Write(Synced(), &batch);
    if (!written.ok()) {
      return StagingFailure("write the last rows", written);
    }
    staged.MarkInstalled();
    return absl::OkStatus();
  }

  const std::string& path_;
  const RestoreOptions& options_;
  kv::BackupReader reader_;
  uint64_t deadlines_ = 0;
};

}  // namespace

absl::StatusOr<BackupContent> VerifyBackup(const std::string& path) {
  RAFTKV_ASSIGN_OR_RETURN(kv::BackupReader reader, kv::BackupReader::Open(path));
  SnapshotCheck check(PointOf(reader.manifest()), reader.manifest().cluster_id());
  SnapshotChunkReader chunks;
  RAFTKV_RETURN_IF_ERROR(ReadChunks(path, &reader, [&](const std::string& chunk) {
    return chunks.Read(chunk, [&](const SnapshotRow& row) { return check.AddRow(row); });
  }));
  if (const absl::Status whole = check.CheckWhole(chunks); !whole.ok()) {
    return InBackup(path, whole);
  }
  RAFTKV_RETURN_IF_ERROR(CheckManifest(path, reader.manifest(), *check.applied()));
  return BackupContent{.manifest = reader.manifest(),
                       .bytes = reader.bytes(),
                       .backup_id = reader.checksum(),
                       .deadlines = check.deadlines()};
}

absl::StatusOr<BackupContent> RestoreBackup(const std::string& path,
                                            const RestoreOptions& options) {
  RAFTKV_ASSIGN_OR_RETURN(kv::BackupReader reader, kv::BackupReader::Open(path));
  return Restore(path, options, std::move(reader)).Run();
}

}  // namespace raftkv::storage
