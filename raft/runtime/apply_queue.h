// The committed entries that wait for the state machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// First in, first out, in log order and without gaps. Bounded by the core: it hands out only what
// its log holds in memory. Confined to the loop's thread.
class ApplyQueue {
 public:
  bool empty() const { return begin_ == entries_.size(); }
  size_t size() const { return entries_.size() - begin_; }
  // REQUIRES: `entries` follow what is queued.
  void Push(std::vector<Entry> entries);
  // The front entries, at most `bytes_max` of them but at least one. Valid until the queue changes.
  // REQUIRES: !empty().
  absl::Span<const Entry> Front(uint64_t bytes_max) const;
  // REQUIRES: at least `count` entries are queued.
  void Pop(size_t count);
  // Drops the entries up to `last`: their effects came in another way.
  void DropThrough(LogIndex last);

 private:
  // What is queued starts at begin_; contiguous, because Front hands it out as one span.
  std::vector<Entry> entries_;
  size_t begin_ = 0;
};

}  // namespace raftkv::raft
