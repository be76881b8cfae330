// The chunks of a whole snapshot, made of any rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "glog/logging.h"
#include "storage/snapshot_chunk.h"

namespace raftkv::storage {

class ChunkList {
 public:
  explicit ChunkList(uint8_t version = kFirstChunkVersion)
      : version_(version), builder_(SnapshotTotals(), version) {}

  // REQUIRES: as SnapshotChunkBuilder's.
  void Add(size_t family, absl::string_view key, absl::string_view value) {
    if (!builder_.Add(family, key, value)) {
      const SnapshotTotals totals = builder_.totals();
      chunks_.push_back(builder_.Take());
      builder_ = SnapshotChunkBuilder(totals, version_);
      CHECK(builder_.Add(family, key, value)) << "an empty chunk takes any row";
    }
  }
  // No row follows.
  std::vector<std::string> Finish() {
    builder_.AddEnd();
    chunks_.push_back(builder_.Take());
    return std::move(chunks_);
  }

 private:
  uint8_t version_;
  SnapshotChunkBuilder builder_;
  std::vector<std::string> chunks_;
};

}  // namespace raftkv::storage
