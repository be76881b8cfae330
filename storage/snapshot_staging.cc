#include "storage/snapshot_staging.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "storage/disk_failure.h"
#include "storage/file_io.h"
#include "storage/key_layout.h"
#include "storage/storage.h"

namespace raftkv::storage {
namespace {

// No sequence number is taken, or the write-ahead log would have a gap there, at which a replay
// stops: files of one family are disjoint, the family is new, and no older reader needs to be kept
// from it. What would need one, or a flush that holds up all writers, is refused.
rocksdb::IngestExternalFileOptions IngestOptions() {
  rocksdb::IngestExternalFileOptions options;
  options.move_files = true;
  options.failed_move_fall_back_to_copy = true;
  options.snapshot_consistency = false;
  options.allow_global_seqno = false;
  options.allow_blocking_flush = false;
  options.write_global_seqno = false;
  return options;
}

}  // namespace

absl::Status StagingFailure(absl::string_view what, const rocksdb::Status& status) {
  const std::string message =
      absl::StrCat("cannot ", what, " of a snapshot that comes in: ", status.ToString());
  return status.IsNoSpace() ? absl::ResourceExhaustedError(message) : absl::InternalError(message);
}

SnapshotStaging::SnapshotStaging(const OwnFamilies& families, std::string path,
                                 int64_t free_bytes_min, uint64_t first_free, WorkerPool* pool)
    : families_(families),
      path_(std::move(path)),
      free_bytes_min_(free_bytes_min),
      pool_(pool),
      next_generation_(first_free) {}

absl::Status SnapshotStaging::CheckRoom(int64_t bytes) const {
  if (free_bytes_min_ == 0) {
    return absl::OkStatus();
  }
  const absl::StatusOr<DiskSpace> space = FindDiskSpace(path_);
  if (!space.ok() || space->free_bytes >= free_bytes_min_ + bytes) {
    return absl::OkStatus();
  }
  return absl::ResourceExhaustedError(absl::StrCat(
      "the disk has ", space->free_bytes, " bytes free, and a snapshot that comes in leaves ",
      free_bytes_min_, ", half of --disk_reserve_bytes"));
}

absl::StatusOr<std::string> SnapshotStaging::MakeFolder() {
  rocksdb::FileSystem* const files = db()->GetFileSystem();
  rocksdb::IOStatus status = files->CreateDirIfMissing(path_, rocksdb::IOOptions(), nullptr);
  std::string folder = absl::StrCat(path_, "/", next_folder_++);
  if (status.ok()) {
    // Not "if missing": files of an earlier snapshot may be links to the member's own.
    status = files->CreateDir(folder, rocksdb::IOOptions(), nullptr);
  }
  if (!status.ok()) {
    return StagingFailure("make the folder", status);
  }
  return folder;
}

void SnapshotStaging::RemoveFolder(const std::string& folder) const {
  if (const absl::Status removed = RemoveTree(db()->GetFileSystem(), folder); !removed.ok()) {
    LOG(WARNING) << "what is left of a snapshot stays until the next start: " << removed;
  }
}

absl::StatusOr<std::shared_ptr<const Generation>> SnapshotStaging::MakeGeneration(
    const Generation& like, const StagedFiles& files) {
  const uint64_t number = next_generation_++;
  const std::vector<std::string> names = GenerationFamilies(number);
  std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
  for (size_t family = 0; family < kGenerationFamilies; ++family) {
    // With the tables' cache, which they share.
    descriptors.emplace_back(
        names[family], rocksdb::ColumnFamilyOptions(db()->GetOptions(like.families()[family])));
  }
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  const rocksdb::Status created = db()->CreateColumnFamilies(descriptors, &handles);
  if (!created.ok()) {
    for (rocksdb::ColumnFamilyHandle* handle : handles) {
      db()->DropColumnFamily(handle).PermitUncheckedError();
      db()->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
    return StagingFailure("make the column families", created);
  }
  RAFTKV_ASSIGN_OR_RETURN(std::shared_ptr<const Generation> generation,
                          Generation::Take(db(), number, &handles));
  if (const absl::Status ingested = Ingest(*generation, files); !ingested.ok()) {
    DropLater(std::move(generation));
    return ingested;
  }
  return generation;
}

absl::Status SnapshotStaging::Ingest(const Generation& generation, const StagedFiles& files) const {
  std::vector<rocksdb::IngestExternalFileArg> arguments;
  for (size_t family = 0; family < kGenerationFamilies; ++family) {
    if (files[family].empty()) {
      continue;  // RocksDB refuses an empty list.
    }
    rocksdb::IngestExternalFileArg& argument = arguments.emplace_back();
    argument.column_family = generation.families()[family];
    argument.external_files = files[family];
    argument.options = IngestOptions();
  }
  if (const rocksdb::Status status = db()->IngestExternalFiles(arguments); !status.ok()) {
    return StagingFailure("take in the files", status);
  }
  for (rocksdb::ColumnFamilyHandle* family : generation.families()) {
    rocksdb::ColumnFamilyMetaData tables;
    db()->GetColumnFamilyMetaData(family, &tables);
    for (const rocksdb::LevelMetaData& level : tables.levels) {
      for (const rocksdb::SstFileMetaData& table : level.files) {
        CHECK_EQ(table.largest_seqno, 0u) << "a snapshot took sequence numbers";
      }
    }
  }
  return absl::OkStatus();
}

void SnapshotStaging::DropLater(std::shared_ptr<const Generation> generation) {
  auto drop = [generation = std::move(generation), own = families_] {
    // RocksDB deletes write-ahead logs whose rows are all flushed or dropped, and a replay stops at
    // the gap that dropped ones leave. `meta` was written after the last of them: its flush tells
    // the tables' newest sequence number, up to which nothing is missed
    // (findings/rocksdb_a_drop_leaves_a_hole_in_the_sequence.sh).
    rocksdb::FlushOptions options;
    options.allow_write_stall = true;
    rocksdb::Status status = own.db->Flush(options, own.meta);
    if (status.ok()) {
      const auto families = generation->families();
      status = own.db->DropColumnFamilies({families.begin(), families.end()});
    }
    LOG_IF(WARNING, !status.ok()) << "generation " << generation->number
                                  << " stays until the next start: " << status.ToString();
  };
  if (!pool_->Submit(WorkerPool::Length::kLong, std::move(drop))) {
    LOG(INFO) << "a state that is not this member's stays until the next start";
  }
}

RocksDbStagedSnapshot::RocksDbStagedSnapshot(raft::SnapshotMeta meta,
                                             std::shared_ptr<const Generation> generation,
                                             GenerationContent content, SnapshotStaging* staging)
    : StagedSnapshot(std::move(meta)),
      generation_(std::move(generation)),
      content_(std::move(content)),
      staging_(staging) {}

RocksDbStagedSnapshot::~RocksDbStagedSnapshot() {
  if (!installed_) {
    staging_->DropLater(generation_);
  }
}

}  // namespace raftkv::storage
