#include "storage/rocksdb_snapshot_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "storage/disk_failure.h"

namespace raftkv::storage {
namespace {

// So many bytes are staged between two looks at the disk's free space.
constexpr uint64_t kRoomBytes = 4 << 20;

}  // namespace

RocksDbSnapshotWriter::RocksDbSnapshotWriter(const raft::SnapshotPoint& point, uint64_t cluster_id,
                                             std::shared_ptr<const Generation> like,
                                             SnapshotStaging* staging)
    : point_(point), like_(std::move(like)), staging_(staging), check_(point, cluster_id) {}

RocksDbSnapshotWriter::~RocksDbSnapshotWriter() {
  file_.reset();
  if (!folder_.empty()) {
    staging_->RemoveFolder(folder_);
  }
}

absl::Status RocksDbSnapshotWriter::Write(absl::string_view chunk) {
  if (failed_.ok()) {
    failed_ = CheckRoom(chunk.size());
  }
  if (failed_.ok()) {
    failed_ = chunks_.Read(chunk, [this](const SnapshotRow& row) { return AddRow(row); });
  }
  return failed_;
}

absl::Status RocksDbSnapshotWriter::CheckRoom(uint64_t bytes) {
  if (room_bytes_ < bytes) {
    const uint64_t asked = std::max(kRoomBytes, bytes);
    RAFTKV_RETURN_IF_ERROR(staging_->CheckRoom(static_cast<int64_t>(asked)));
    room_bytes_ = asked;
  }
  room_bytes_ -= bytes;
  return absl::OkStatus();
}

absl::Status RocksDbSnapshotWriter::AddRow(const SnapshotRow& row) {
  RAFTKV_RETURN_IF_ERROR(check_.AddRow(row));
  if (file_ != nullptr && (file_family_ != row.family || file_->FileSize() >= kStagedFileBytes)) {
    RAFTKV_RETURN_IF_ERROR(FinishFile());
  }
  if (file_ == nullptr) {
    RAFTKV_RETURN_IF_ERROR(OpenFile(row.family));
  }
  const rocksdb::Status status = file_->Put(ToSlice(row.key), ToSlice(row.value));
  return status.ok() ? absl::OkStatus() : StagingFailure("write a file", status);
}

absl::Status RocksDbSnapshotWriter::OpenFile(size_t family) {
  if (folder_.empty()) {
    RAFTKV_ASSIGN_OR_RETURN(folder_, staging_->MakeFolder());
  }
  // Each file by a writer of its own, and none without a row.
  file_ = std::make_unique<rocksdb::SstFileWriter>(
      rocksdb::EnvOptions(), staging_->db()->GetOptions(like_->families()[family]));
  file_family_ = family;
  const std::string path =
      absl::StrCat(folder_, "/", family + 1, "-", files_[family].size(), ".sst");
  if (const rocksdb::Status status = file_->Open(path); !status.ok()) {
    return StagingFailure("create a file", status);
  }
  files_[family].push_back(path);
  return absl::OkStatus();
}

absl::Status RocksDbSnapshotWriter::FinishFile() {
  const rocksdb::Status status = file_->Finish();
  file_.reset();
  return status.ok() ? absl::OkStatus() : StagingFailure("finish a file", status);
}

absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> RocksDbSnapshotWriter::Finish() {
  RAFTKV_RETURN_IF_ERROR(failed_);
  RAFTKV_RETURN_IF_ERROR(check_.CheckWhole(chunks_));
  RAFTKV_RETURN_IF_ERROR(FinishFile());
  RAFTKV_ASSIGN_OR_RETURN(const std::shared_ptr<const Generation> generation,
                          staging_->MakeGeneration(*like_, files_));
  absl::StatusOr<GenerationContent> content = GenerationReader(*generation).Read();
  if (content.ok() && content->applied != *check_.applied()) {
    content = BadBytes(NameOf(generation->state), "it does not hold what was staged");
  }
  if (!content.ok()) {
    staging_->DropLater(generation);
    return content.status();
  }
  return std::make_shared<RocksDbStagedSnapshot>(
      raft::SnapshotMeta{.point = point_, .configuration = *check_.configuration()}, generation,
      *std::move(content), staging_);
}

}  // namespace raftkv::storage
