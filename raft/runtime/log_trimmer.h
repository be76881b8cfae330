// What of a log may be forgotten. A decision by numbers alone.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// As DriverOptions has them.
struct LogTrimLimits {
  uint64_t entries_kept = 0;
  uint64_t bytes_max = 0;
};

struct LogTrimState {
  LogIndex applied;
  LogIndex durable;
  // RaftCore::held_by_all().
  LogIndex held_by_all;
  // For each follower that is brought a snapshot, or that catches up from one: the entries after
  // this are needed by it.
  std::vector<LogIndex> needed_after = {};
};

// LogStore::FirstOfNewest.
using FirstOfNewest = absl::FunctionRef<LogIndex(uint64_t bytes)>;

// Up to which entry the log had better be trimmed now; 0: leave it.
//
// What all members hold goes, but for the newest entries_kept or a quarter of bytes_max, whichever
// is less. Beyond bytes_max more goes, and whoever lacks it needs a snapshot; but what stands after
// a snapshot under way stays, or it would be for nothing, until that alone takes twice as much. One
// that needs so much takes nothing from the others.
// Entries that are not applied and durable stay in any case. As each trim leaves a tombstone, none
// takes little away: at least a sixteenth of entries_kept, or 1000, unless the log is too large by
// a sixteenth.
LogIndex LogTrimThrough(const LogTrimLimits& limits, const LogTrimState& state,
                        FirstOfNewest first_of_newest);

}  // namespace raftkv::raft
