#include "kv/counted_intervals.h"

#include <algorithm>

namespace raftkv::kv {
namespace {

// Each key that comes or goes is compared with all of them.
constexpr size_t kIntervalsMax = 16;
// Of one interval; what walks beyond them find is not heard.
constexpr size_t kWalksMax = 16;
// A walk over fewer keys is cheap.
constexpr int64_t kCountToKeep = 1000;
constexpr uint64_t kIdleChangesMin = 1 << 20;

}  // namespace

CountedIntervals::Counted* CountedIntervals::AskFor(const KeyInterval& interval) {
  const auto found = std::find_if(counted_.begin(), counted_.end(), [&](const Counted& counted) {
    return counted.interval.start == interval.start && counted.interval.end == interval.end;
  });
  if (found == counted_.end()) {
    return nullptr;
  }
  found->idle_changes = 0;
  std::rotate(found, found + 1, counted_.end());
  return &counted_.back();
}

std::optional<int64_t> CountedIntervals::Find(const KeyInterval& interval) {
  const Counted* counted = AskFor(interval);
  return counted != nullptr && counted->known ? std::optional(counted->count) : std::nullopt;
}

uint64_t CountedIntervals::Begin(const KeyInterval& interval) {
  Counted* counted = AskFor(interval);
  if (counted == nullptr) {
    if (counted_.size() >= kIntervalsMax) {
      counted_.erase(counted_.begin());
    }
    counted = &counted_.emplace_back();
    counted->interval = interval;
  }
  if (!counted->known && counted->walks.size() < kWalksMax) {
    counted->walks.push_back({.id = next_id_, .changes_before = counted->count});
  }
  return next_id_++;
}

void CountedIntervals::End(uint64_t id, std::optional<int64_t> count) {
  for (auto counted = counted_.begin(); counted != counted_.end(); ++counted) {
    const auto walk = std::find_if(counted->walks.begin(), counted->walks.end(),
                                   [id](const Walk& other) { return other.id == id; });
    if (walk == counted->walks.end()) {
      continue;
    }
    if (count.has_value() && *count >= kCountToKeep) {
      counted->count += *count - walk->changes_before;
      counted->known = true;
      counted->walks.clear();
      return;
    }
    counted->walks.erase(walk);
    if (count.has_value() || counted->walks.empty()) {
      counted_.erase(counted);
    }
    return;
  }
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
