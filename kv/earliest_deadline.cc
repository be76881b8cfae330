#include "kv/earliest_deadline.h"

#include <cstddef>

namespace raftkv::kv {
namespace {

constexpr size_t kRecentMax = 1024;

}  // namespace

void EarliestDeadline::OnApplied(raft::LogIndex index, raft::ClusterMillis deadline) {
  if (earliest_.value() == 0 || deadline < earliest_) {
    earliest_ = deadline;
  }
  while (!recent_.empty() && recent_.back().second >= deadline) {
    recent_.pop_back();
  }
  if (recent_.size() < kRecentMax) {
    recent_.emplace_back(index, deadline);
  } else {
    // Full on members that never scan. The earlier deadline at the later index only costs a scan
    // too many.
    recent_.back().first = index;
  }
}

void EarliestDeadline::OnScanned(raft::LogIndex applied, raft::ClusterMillis next_deadline) {
  while (!recent_.empty() && recent_.front().first <= applied) {
    recent_.pop_front();
  }
  earliest_ = next_deadline;
  if (recent_.empty()) {
    return;
  }
  const raft::ClusterMillis recent = recent_.front().second;
  if (next_deadline.value() == 0 || recent < next_deadline) {
    earliest_ = recent;
  }
}

}  // namespace raftkv::kv
