// How much of the log's bytes lies behind which index, without a look at the disk. Rough: it knows
// where segments begin, not entries.
#pragma once

#include <cstdint>
#include <deque>

#include "raft/core/types.h"

namespace raftkv::storage {

// Confined to one thread at a time.
class LogSizes {
 public:
  // Of a segment, but for the last one, at least.
  static constexpr uint64_t kSegmentBytes = 1 << 20;

  // Entries from `first` on, which follow what there is, take so many bytes.
  void Append(raft::LogIndex first, uint64_t bytes);
  // The entries from `index` on are gone.
  void CutFrom(raft::LogIndex index);
  // The entries before `first` are gone.
  void TrimTo(raft::LogIndex first);

  // Where the newest entries that take about `bytes`, or somewhat more, begin; nothing, 0, when all
  // of them take less.
  raft::LogIndex FirstOfNewest(uint64_t bytes) const;

 private:
  struct Segment {
    raft::LogIndex first;
    uint64_t bytes;
  };
  // By index.
  std::deque<Segment> segments_;
};

}  // namespace raftkv::storage
