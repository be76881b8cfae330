#include "kv/counted_intervals.h"

#include <algorithm>

namespace raftkv::kv {
namespace {

// Each key that comes or goes is compared with all of them.
constexpr size_t kIntervalsMax = 16;
// A walk over fewer keys is cheap.
constexpr int64_t kCountToKeep = 1000;
constexpr uint64_t kIdleChangesMin = 1 << 20;

}  // namespace

std::optional<int64_t> CountedIntervals::Find(const KeyInterval& interval) {
  const auto found = std::find_if(counted_.begin(), counted_.end(), [&](const Counted& counted) {
    return counted.walked && counted.interval.start == interval.start &&
           counted.interval.end == interval.end;
  });
  if (found == counted_.end()) {
    return std::nullopt;
  }
  found->idle_changes = 0;
  std::rotate(found, found + 1, counted_.end());
  return counted_.back().count;
}

uint64_t CountedIntervals::Begin(const KeyInterval& interval) {
  if (counted_.size() >= kIntervalsMax) {
    counted_.erase(counted_.begin());
  }
  counted_.push_back({.interval = interval, .id = next_id_});
  return next_id_++;
}

void CountedIntervals::End(uint64_t id, std::optional<int64_t> count) {
  const auto found = std::find_if(counted_.begin(), counted_.end(),
                                  [id](const Counted& counted) { return counted.id == id; });
  if (found == counted_.end()) {
    return;
  }
  // Whoever else counted the same meanwhile knows the same.
  const bool known = std::any_of(counted_.begin(), counted_.end(), [&](const Counted& other) {
    return other.walked && other.interval.start == found->interval.start &&
           other.interval.end == found->interval.end;
  });
  if (known || count.value_or(0) < kCountToKeep) {
    counted_.erase(found);
    return;
  }
  found->count += *count;
  found->walked = true;
}

void CountedIntervals::OnChange(absl::string_view key, bool created) {
  for (Counted& counted : counted_) {
    ++counted.idle_changes;
    if (key >= counted.interval.start &&
        (counted.interval.end.empty() || key < counted.interval.end)) {
      counted.count += created ? 1 : -1;
    }
  }
  std::erase_if(counted_, [](const Counted& counted) {
    return counted.idle_changes >
           std::max(kIdleChangesMin, static_cast<uint64_t>(std::max<int64_t>(counted.count, 0)));
  });
}

}  // namespace raftkv::kv
