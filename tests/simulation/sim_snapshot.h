// A simulated member's state on its way to another: rows in chunks of bytes, and beside them, for
// who compares logs, which entries made it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "raft/runtime/snapshot.h"
#include "tests/simulation/sim_disk.h"

namespace raftkv::simulation {

// Both are confined to one thread.
class SimSnapshotReader final : public raft::SnapshotReader {
 public:
  // A chunk has `chunk_rows` rows at most: equal states give equal chunks.
  SimSnapshotReader(const SnapshotContent& content, uint64_t chunk_rows);

  raft::SnapshotPoint point() const override { return point_; }
  absl::StatusOr<std::optional<std::string>> ReadChunk(uint64_t number) override;

 private:
  const raft::SnapshotPoint point_;
  std::vector<std::string> chunks_;
};

class SimSnapshotWriter final : public raft::SnapshotWriter {
 public:
  explicit SimSnapshotWriter(const raft::SnapshotPoint& point) : point_(point) {}

  absl::Status Write(absl::string_view chunk) override;
  absl::StatusOr<std::shared_ptr<raft::StagedSnapshot>> Finish() override;

 private:
  const raft::SnapshotPoint point_;
  bool has_head_ = false;
  // That the first chunk promised.
  uint64_t rows_ = 0;
  uint64_t events_ = 0;
  uint64_t state_hash_ = 0;
  SnapshotContent content_;
};

// REQUIRES: a SimSnapshotWriter made the snapshot.
std::shared_ptr<const SnapshotContent> ContentOf(const raft::StagedSnapshot& snapshot);

}  // namespace raftkv::simulation
