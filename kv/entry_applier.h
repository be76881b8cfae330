// From log entries to changes of a table: what every member does with what is committed, whatever
// the table is kept in.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "google/protobuf/arena.h"
#include "kv/applied_state.h"
#include "kv/kv_table.h"
#include "raft/core/types.h"
#include "raft/runtime/state_machine.h"

namespace raftkv::kv {

// What a run of entries has come to so far, besides the changes in its table.
struct AppliedRun {
  struct Outcome {
    uint64_t origin;
    uint64_t sequence;
    std::string bytes;
  };

  AppliedState applied;  // Begins as what the table holds.
  std::vector<Outcome> outcomes;
  uint64_t commands = 0;
};

// Confined to one thread. An entry that this version cannot apply ends the process: a member that
// skipped it would differ from those that did not.
class EntryApplier {
 public:
  // Applies one entry to the table and notes in `run` what it came to, with the outcomes that
  // `observer` wants. Returns false when the table stalled; table and run are then as before.
  // REQUIRES: the entry follows run->applied.
  [[nodiscard]] bool Apply(const raft::Entry& entry, const raft::OutcomeObserver& observer,
                           KvTable* table, AppliedRun* run);

 private:
  bool ApplyCommands(const raft::Entry& entry, const raft::OutcomeObserver& observer,
                     KvTable* table, AppliedRun* run);

  // Kept for its memory.
  google::protobuf::Arena arena_;
};

}  // namespace raftkv::kv
