#include "storage/rocksdb_snapshot_writer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "kv/command_semantics.h"
#include "kv/limits.h"
#include "raft/wire/convert.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"

namespace raftkv::storage {
namespace {

constexpr size_t kStateFamily = 0;
constexpr size_t kLatestFamily = 1;
// So many bytes are staged between two looks at the disk's free space.
constexpr uint64_t kRoomBytes = 4 << 20;

absl::Status BadSnapshot(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("the snapshot ", what));
}

}  // namespace

RocksDbSnapshotWriter::RocksDbSnapshotWriter(const raft::SnapshotPoint& point, uint64_t cluster_id,
                                             std::shared_ptr<const Generation> like,
                                             SnapshotStaging* staging)
    : point_(point), cluster_id_(cluster_id), like_(std::move(like)), staging_(staging) {}

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
  RAFTKV_RETURN_IF_ERROR(CheckRow(row));
  if (file_ != nullptr && (file_family_ != row.family || file_->FileSize() >= kStagedFileBytes)) {
    RAFTKV_RETURN_IF_ERROR(FinishFile());
  }
  if (file_ == nullptr) {
    RAFTKV_RETURN_IF_ERROR(OpenFile(row.family));
  }
  const rocksdb::Status status = file_->Put(ToSlice(row.key), ToSlice(row.value));
  return status.ok() ? absl::OkStatus() : StagingFailure("write a file", status);
}

absl::Status RocksDbSnapshotWriter::CheckRow(const SnapshotRow& row) {
  if (row.family == kStateFamily) {
    return CheckStateRow(row);
  }
  if (row.family == kLatestFamily) {
    const std::optional<LatestRecord> record = DecodeAndHashRecord(row.key, row.value);
    if (!record.has_value() || row.key.empty() || row.key.size() > kv::kKeyBytesMax) {
      return BadSnapshot("has a key's record that makes no sense");
    }
    rows_hash_ += record->header.row_hash;
    wanted_.AddRecord(row.key, record->header);
    return absl::OkStatus();
  }
  if (!DecodeTtlKey(row.key).has_value() || !DecodeRowHash(row.value).has_value()) {
    return BadSnapshot("has a row of a deadline that makes no sense");
  }
  found_.AddRow(row.key, row.value);
  return absl::OkStatus();
}

absl::Status RocksDbSnapshotWriter::CheckStateRow(const SnapshotRow& row) {
  if (row.key == kAppliedKey) {
    applied_ = DecodeAppliedState(row.value);
    if (!applied_.has_value()) {
      return BadSnapshot("has no sense in what it applied");
    }
    return kv::CheckClusterVersion(applied_->cluster_version);
  }
  if (row.key == kConfigurationKey) {
    log::v1::ClusterConfiguration configuration;
    if (!configuration.ParseFromArray(row.value.data(), static_cast<int>(row.value.size()))) {
      return BadSnapshot("has a configuration that makes no sense");
    }
    if (configuration.cluster_id() != cluster_id_) {
      return BadSnapshot(
          absl::StrCat("is of cluster ", configuration.cluster_id(), ", not of ", cluster_id_));
    }
    RAFTKV_ASSIGN_OR_RETURN(configuration_, wire::FromProto(configuration));
    return absl::OkStatus();
  }
  log::v1::MemberRecord record;
  if (!absl::StartsWith(row.key, kMemberRecordPrefix) ||
      !record.ParseFromArray(row.value.data(), static_cast<int>(row.value.size())) ||
      row.key != EncodeMemberRecordKey(record.member_id())) {
    return BadSnapshot("has a row of `state` that makes no sense");
  }
  return absl::OkStatus();
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

absl::Status RocksDbSnapshotWriter::CheckWhole() const {
  if (!chunks_.at_end()) {
    return BadSnapshot("is cut off");
  }
  if (!applied_.has_value() || applied_->id != point_.last || applied_->stamp != point_.stamp) {
    return BadSnapshot(absl::StrCat(
        "stands at entry ", applied_.value_or(kv::AppliedState()).id.index.value(), " of term ",
        applied_.value_or(kv::AppliedState()).id.term.value(), ", and was said to stand at entry ",
        point_.last.index.value(), " of term ", point_.last.term.value()));
  }
  if (!configuration_.has_value()) {
    return BadSnapshot("has no configuration");
  }
  if (applied_->key_count != static_cast<int64_t>(chunks_.totals().rows[kLatestFamily])) {
    return BadSnapshot(absl::StrCat("has ", chunks_.totals().rows[kLatestFamily],
                                    " keys, and says that it has ", applied_->key_count));
  }
  if (applied_->rows_hash != rows_hash_) {
    return BadSnapshot(
        absl::StrCat("has keys that are not those of its state: their hashes come to ", rows_hash_,
                     ", and it says that they come to ", applied_->rows_hash));
  }
  if (wanted_ != found_) {
    return BadSnapshot(absl::StrCat("has ", found_.count, " rows of deadlines that are not those ",
                                    "of its ", wanted_.count, " keys with one"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> RocksDbSnapshotWriter::Finish() {
  RAFTKV_RETURN_IF_ERROR(failed_);
  RAFTKV_RETURN_IF_ERROR(CheckWhole());
  RAFTKV_RETURN_IF_ERROR(FinishFile());
  RAFTKV_ASSIGN_OR_RETURN(const std::shared_ptr<const Generation> generation,
                          staging_->MakeGeneration(*like_, files_));
  absl::StatusOr<GenerationContent> content = GenerationReader(*generation).Read();
  if (content.ok() && content->applied != *applied_) {
    content = BadBytes(NameOf(generation->state), "it does not hold what was staged");
  }
  if (!content.ok()) {
    staging_->DropLater(generation);
    return content.status();
  }
  return std::make_shared<RocksDbStagedSnapshot>(
      raft::SnapshotMeta{.point = point_, .configuration = *configuration_}, generation,
      *std::move(content), staging_);
}

}  // namespace raftkv::storage
