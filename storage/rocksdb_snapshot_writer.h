// Stages a snapshot: chunks become table files in a folder of their own, and once all of them fit
// together, a generation beside the member's own.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "raft/runtime/snapshot.h"
#include "rocksdb/sst_file_writer.h"
#include "storage/generation.h"
#include "storage/snapshot_check.h"
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
  // Keys with a deadline, of the rows so far.
  uint64_t deadlines() const { return check_.deadlines(); }

 private:
  // Whether so many bytes more find room (SnapshotStaging::CheckRoom).
  absl::Status CheckRoom(uint64_t bytes);
  absl::Status AddRow(const SnapshotRow& row);
  absl::Status OpenFile(size_t family);
  absl::Status FinishFile();

  // Constant after construction.
  const raft::SnapshotPoint point_;
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
  SnapshotCheck check_;
};

}  // namespace raftkv::storage
