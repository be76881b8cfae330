#include "storage/log_sizes.h"

namespace raftkv::storage {

void LogSizes::Append(raft::LogIndex first, uint64_t bytes) {
  if (segments_.empty() || segments_.back().bytes >= kSegmentBytes) {
    segments_.push_back({.first = first, .bytes = 0});
  }
  segments_.back().bytes += bytes;
}

void LogSizes::CutFrom(raft::LogIndex index) {
  while (!segments_.empty() && segments_.back().first >= index) {
    segments_.pop_back();
  }
}

void LogSizes::TrimTo(raft::LogIndex first) {
  while (segments_.size() > 1 && segments_[1].first <= first) {
    segments_.pop_front();
  }
  if (!segments_.empty() && segments_.front().first < first) {
    segments_.front().first = first;
  }
}

raft::LogIndex LogSizes::FirstOfNewest(uint64_t bytes) const {
  uint64_t sum = 0;
  for (auto segment = segments_.rbegin(); segment != segments_.rend(); ++segment) {
    sum += segment->bytes;
    if (sum >= bytes) {
      return segment->first;
    }
  }
  return raft::LogIndex(0);
}

}  // namespace raftkv::storage
