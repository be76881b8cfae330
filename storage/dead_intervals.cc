#include "storage/dead_intervals.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace raftkv::storage {
namespace {

// Each costs a scan across it a seek, and a change a copy while views are out.
constexpr size_t kIntervalsMax = 256;
constexpr size_t kSuspectsMax = 64;
constexpr size_t kFindingsMax = 64;

}  // namespace

DeadIntervalMap* DeadIntervals::Mutable() {
  if (handed_out_) {
    proven_ = std::make_shared<DeadIntervalMap>(*proven_);
    handed_out_ = false;
  }
  return proven_.get();
}

void DeadIntervals::Add(const DeadInterval& interval) {
  if (interval.start >= interval.end) {
    return;
  }
  DeadIntervalMap& map = *Mutable();
  std::string start = interval.start;
  std::string end = interval.end;
  // Swallows what it overlaps or touches.
  auto next = map.upper_bound(start);
  if (next != map.begin() && std::prev(next)->second >= start) {
    --next;
    start = next->first;
  }
  while (next != map.end() && next->first <= end) {
    end = std::max(end, next->second);
    next = map.erase(next);
  }
  if (map.size() >= kIntervalsMax) {
    map.erase(map.begin());
  }
  map.emplace(std::move(start), std::move(end));
}

void DeadIntervals::OnViewed(const DeadInterval& interval, raft::LogIndex viewed,
                             raft::LogIndex now) {
  for (const Suspect& suspect : suspects_) {
    if (suspect.since <= viewed) {
      Add({.start = std::max(suspect.interval.start, interval.start),
           .end = std::min(suspect.interval.end, interval.end)});
    }
  }
  std::erase_if(suspects_, [&](const Suspect& suspect) {
    return suspect.since <= viewed && suspect.interval.start < interval.end &&
           interval.start < suspect.interval.end;
  });
  if (suspects_.size() >= kSuspectsMax) {
    suspects_.erase(suspects_.begin());
  }
  suspects_.push_back({.interval = interval, .since = now});
}

void DeadIntervals::OnCreated(absl::string_view key) {
  std::erase_if(suspects_, [key](const Suspect& suspect) {
    return suspect.interval.start <= key && key < suspect.interval.end;
  });
  const auto next = proven_->upper_bound(key);
  if (next == proven_->begin() || std::prev(next)->second <= key) {
    return;
  }
  const DeadInterval cut{.start = std::prev(next)->first, .end = std::prev(next)->second};
  DeadIntervalMap& map = *Mutable();
  map.erase(cut.start);
  if (cut.start < key) {
    map.emplace(cut.start, std::string(key));
  }
  std::string after(key);
  after.push_back('\0');
  // The part behind is given up when it would be one too many.
  if (after < cut.end && map.size() < kIntervalsMax) {
    map.emplace(std::move(after), cut.end);
  }
}

void DeadIntervalFindings::Add(std::vector<DeadInterval> intervals, raft::LogIndex viewed) {
  if (intervals.empty()) {
    return;
  }
  MutexLock lock(&mutex_);
  for (DeadInterval& interval : intervals) {
    if (findings_.size() < kFindingsMax) {
      findings_.push_back({.interval = std::move(interval), .viewed = viewed});
    }
  }
  any_ = true;
}

std::vector<DeadIntervalFindings::Finding> DeadIntervalFindings::TakeAll() {
  if (!any_) {
    return {};
  }
  MutexLock lock(&mutex_);
  any_ = false;
  return std::exchange(findings_, {});
}

}  // namespace raftkv::storage
