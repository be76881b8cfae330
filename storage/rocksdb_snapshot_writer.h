// Stages a snapshot: chunks become table files in a folder of their own, and once all of them fit
// together, a generation beside the member's own.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "raft/runtime/snapshot.h"
#include "rocksdb/sst_file_writer.h"
#include "storage/deadline_sum.h"
#include "storage/generation.h"
#include "storage/snapshot_chunk.h"
#include "storage/snapshot_staging.h"

namespace raftkv::storage {

// Of one table file, about.
inline constexpr uint64_t kStagedFileBytes = 64 << 20;

class RocksDbSnapshotWriter final : public raft::SnapshotWriter {
 public:
  // For a state at `point` of cluster `cluster_id`. `like` is the member's own. Touches no disk.
  RocksDbSnapshotWriter(const raft::SnapshotPoint& point, uint64_t cluster_id,
                        std::shared_ptr<const Generation> like, SnapshotStaging* staging);
  ~RocksDbSnapshotWriter() override;
  RocksDbSnapshotWriter(const RocksDbSnapshotWriter&) = delete;
  RocksDbSnapshotWriter& operator=(const RocksDbSnapshotWriter&) = delete;

  absl::Status Write(absl::string_view chunk) override;
  absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> Finish() override;

 private:
  // Whether so many bytes more find room (SnapshotStaging::CheckRoom).
  absl::Status CheckRoom(uint64_t bytes);
  absl::Status AddRow(const SnapshotRow& row);
  // InvalidArgument for bytes that no state has there. Notes what Finish has to know.
  absl::Status CheckRow(const SnapshotRow& row);
  absl::Status CheckStateRow(const SnapshotRow& row);
  absl::Status OpenFile(size_t family);
  absl::Status FinishFile();
  // Whether what was gathered is one whole state at the point.
  absl::Status CheckWhole() const;

  // Constant after construction.
  const raft::SnapshotPoint point_;
  const uint64_t cluster_id_;
  const std::shared_ptr<const Generation> like_;
  SnapshotStaging* const staging_;

  SnapshotChunkReader chunks_;
  uint64_t room_bytes_ = 0;  // That were found, and are not staged yet.
  absl::Status failed_;
  std::string folder_;  // Empty before there is one.
  StagedFiles files_;
  // The last one of files_[file_family_], while it takes rows.
  std::unique_ptr<rocksdb::SstFileWriter> file_;
  size_t file_family_ = 0;

  std::optional<kv::AppliedState> applied_;
  uint64_t rows_hash_ = 0;  // As kv::AppliedState has it, of the rows that came.
  std::optional<raft::Configuration> configuration_;
  // The rows that `ttl` must have as told by `latest`, and those that it has.
  DeadlineSum wanted_;
  DeadlineSum found_;
};

}  // namespace raftkv::storage
