// SnapshotStaging is where a state that comes from another member waits beside this member's own:
// first as files in a folder, then as a generation that is nobody's yet.
//
//   <data_dir>/db.staging/<number>/   a folder for each snapshot; a start removes them
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/worker_pool.h"
#include "raft/runtime/snapshot.h"
#include "rocksdb/db.h"
#include "storage/database_reader.h"
#include "storage/generation.h"
#include "storage/own_families.h"

namespace raftkv::storage {

// Of each family, in the order of GenerationFamilies: paths of table files whose keys ascend from
// one to the next. None for a family without rows.
using StagedFiles = std::array<std::vector<std::string>, kGenerationFamilies>;

// Thread-safe; but for DropLater, its calls wait for the disk. What fails is said with
// ResourceExhausted when the disk is full, else with Internal.
class SnapshotStaging {
 public:
  // `free_bytes_min` stay free on the disk of `path`. Generations from `first_free` on are free.
  // Borrows `pool`, which may stop before the end of this.
  SnapshotStaging(const OwnFamilies& families, std::string path, int64_t free_bytes_min,
                  uint64_t first_free, WorkerPool* pool);

  // Whether `bytes` more may be staged: ResourceExhausted when that would leave too little.
  absl::Status CheckRoom(int64_t bytes) const;

  // A new, empty folder.
  absl::StatusOr<std::string> MakeFolder();
  // With all that is in it; what cannot be removed waits for the next start.
  void RemoveFolder(const std::string& folder) const;

  // Makes a generation of these files, which it takes away, with the options of `like`. Durable on
  // return, and a start drops it as long as it is not the member's.
  absl::StatusOr<std::shared_ptr<const Generation>> MakeGeneration(const Generation& like,
                                                                   const StagedFiles& files);
  // Drops a generation that is not the member's, soon, or with the next start. Its readers may go
  // on.
  void DropLater(std::shared_ptr<const Generation> generation);

  rocksdb::DB* db() const { return families_.db; }

 private:
  absl::Status Ingest(const Generation& generation, const StagedFiles& files) const;

  // Constant after construction.
  const OwnFamilies families_;
  const std::string path_;
  const int64_t free_bytes_min_;
  WorkerPool* const pool_;

  std::atomic<uint64_t> next_generation_;
  std::atomic<uint64_t> next_folder_{1};
};

// A failed call of RocksDB as such a status.
absl::Status StagingFailure(absl::string_view what, const rocksdb::Status& status);

// A generation that is complete, durable and verified.
class RocksDbStagedSnapshot final : public raft::StagedSnapshot {
 public:
  RocksDbStagedSnapshot(raft::SnapshotMeta meta, std::shared_ptr<const Generation> generation,
                        GenerationContent content, SnapshotStaging* staging);
  // Drops the generation unless it was installed.
  ~RocksDbStagedSnapshot() override;

  const std::shared_ptr<const Generation>& generation() const { return generation_; }
  const GenerationContent& content() const { return content_; }
  // The generation is the member's from here on, or may be after a crash.
  void MarkInstalled() { installed_ = true; }

 private:
  // Constant after construction.
  const std::shared_ptr<const Generation> generation_;
  const GenerationContent content_;
  SnapshotStaging* const staging_;

  std::atomic<bool> installed_{false};
};

}  // namespace raftkv::storage
