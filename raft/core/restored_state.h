// What the log store and the state machine held when a node stopped.
#pragma once

#include <vector>

#include "raft/core/configuration.h"
#include "raft/core/types.h"

namespace raftkv::raft {

struct RestoredState {
  HardState hard_state;
  // As of `applied`. The entries after it may hold newer ones, and the newest of all counts.
  Configuration configuration;
  // The last applied entry; it is committed. {0, 0} when nothing was applied.
  EntryId applied;
  // The entry before `tail`; {0, 0} at the start of the log.
  // Invariant: previous.index <= applied.index.
  EntryId previous;
  // Its stamp, so that the next entry's does not fall below it.
  ClusterMillis previous_stamp;
  // The log after `previous`, without gaps, all durable. Reaches at least to `applied`.
  std::vector<Entry> tail;
};

}  // namespace raftkv::raft
