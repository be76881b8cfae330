#include "raft/runtime/log_trimmer.h"

#include <algorithm>
#include <limits>

namespace raftkv::raft {
namespace {

constexpr uint64_t kTrimEntriesMin = 1000;
// Which part of a limit a trim has to free.
constexpr uint64_t kTrimPart = 16;

LogIndex Minus(LogIndex index, uint64_t count) {
  return LogIndex(index.value() <= count ? 0 : index.value() - count);
}

}  // namespace

LogIndex LogTrimThrough(const LogTrimLimits& limits, const LogTrimState& state,
                        FirstOfNewest first_of_newest) {
  const LogIndex first = first_of_newest(std::numeric_limits<uint64_t>::max());
  const auto exceeds = [&](uint64_t bytes) { return first_of_newest(bytes) > first; };
  const LogIndex done_with = std::min(state.applied, state.durable);

  LogIndex through = std::max(Minus(done_with, limits.entries_kept),
                              Minus(first_of_newest(limits.bytes_max / 4), 1));
  through = std::min(through, state.held_by_all);
  if (exceeds(limits.bytes_max)) {
    through = std::max(through, Minus(first_of_newest(limits.bytes_max), 1));
  }
  const LogIndex kept_for_snapshots = first_of_newest(2 * limits.bytes_max);
  for (const LogIndex needed_after : state.needed_after) {
    if (kept_for_snapshots <= needed_after.Next()) {
      through = std::min(through, needed_after);
    }
  }
  through = std::min(through, done_with);

  const uint64_t entries = through < first ? 0 : through - first + 1;
  const uint64_t entries_min =
      std::clamp<uint64_t>(limits.entries_kept / kTrimPart, 1, kTrimEntriesMin);
  const bool too_large = exceeds(limits.bytes_max + limits.bytes_max / kTrimPart);
  return entries >= entries_min || (entries > 0 && too_large) ? through : LogIndex(0);
}

}  // namespace raftkv::raft
