#include "raft/runtime/apply_queue.h"

#include <glog/logging.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace raftkv::raft {
namespace {

// Applied entries that may stay in front before the rest is moved down.
constexpr size_t kAppliedPrefixMax = 1024;

}  // namespace

void ApplyQueue::Push(std::vector<Entry> entries) {
  if (entries.empty()) {
    return;
  }
  if (empty()) {
    entries_ = std::move(entries);
    begin_ = 0;
    return;
  }
  CHECK_EQ(entries.front().id.index, entries_.back().id.index.Next());
  entries_.insert(entries_.end(), std::make_move_iterator(entries.begin()),
                  std::make_move_iterator(entries.end()));
}

absl::Span<const Entry> ApplyQueue::Front(uint64_t bytes_max) const {
  CHECK(!empty());
  size_t end = begin_ + 1;
  uint64_t bytes = entries_[begin_].size_bytes();
  while (end < entries_.size() && bytes + entries_[end].size_bytes() <= bytes_max) {
    bytes += entries_[end].size_bytes();
    ++end;
  }
  return absl::MakeConstSpan(entries_).subspan(begin_, end - begin_);
}

void ApplyQueue::Pop(size_t count) {
  CHECK_LE(count, entries_.size() - begin_);
  begin_ += count;
  if (empty()) {
    entries_.clear();
    begin_ = 0;
  } else if (begin_ >= kAppliedPrefixMax) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(begin_));
    begin_ = 0;
  }
}

void ApplyQueue::DropThrough(LogIndex last) {
  if (!empty() && entries_[begin_].id.index <= last) {
    Pop(std::min<size_t>(size(), last - entries_[begin_].id.index + 1));
  }
}

}  // namespace raftkv::raft
