// From log entries to changes of a table: what every member does with what is committed, whatever
// the table is kept in.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "google/protobuf/arena.h"
#include "kv/applied_state.h"
#include "kv/command_semantics.h"
#include "kv/history.h"
#include "kv/kv_table.h"
#include "kv/state_hash.h"
#include "raft/core/types.h"
#include "raft/runtime/state_machine.h"
#include "raftkv/log/v1/configuration.pb.h"

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
  std::vector<StateDigest> digests = {};  // Of the state after each of the entries.
  uint64_t commands = 0;
  int64_t expired_keys = 0;    // That went because their time was over, or their lease's.
  int64_t expired_leases = 0;  // The same of leases.
  // In words, what an entry says that this version does not know; empty: nothing so far.
  std::string too_new;
  // The last one among the entries; to be stored with what they changed.
  std::optional<log::v1::ClusterConfiguration> configuration = std::nullopt;
};

// What became of an entry.
enum class EntryFate {
  kApplied,
  // The table stalled; later it will not.
  kStalled,
  // It says something that this version of raftkv does not know. A member that skipped it would
  // differ from the others: nothing from here on can be applied.
  kTooNew,
};

// Confined to one thread. A broken entry ends the process.
class EntryApplier {
 public:
  // The limits are those of all members: others are for tests.
  explicit EntryApplier(const HistoryLimits& history_limits = HistoryLimits())
      : history_limits_(history_limits) {}

  // Applies one entry to the table and notes in `run` what it came to, with the outcomes that
  // `observer` wants. Table and run are as before when it was not applied, but for `run->too_new`.
  // REQUIRES: the entry follows run->applied.
  [[nodiscard]] EntryFate Apply(const raft::Entry& entry, const raft::OutcomeObserver& observer,
                                KvTable* table, AppliedRun* run);

 private:
  static void ApplyConfiguration(const raft::Entry& entry, AppliedRun* run);
  EntryFate ApplyCommands(const raft::Entry& entry, const raft::OutcomeObserver& observer,
                          KvTable* table, AppliedRun* run);
  // Applies one command with its history. False when the table stalled.
  bool ApplyOne(log::v1::Command* command, raft::ClusterMillis stamp, KvTable* table,
                StoreTotals* totals, HistoryState* history, log::v1::CommandOutcome* outcome);

  const HistoryLimits history_limits_;
  // Kept for their memory.
  google::protobuf::Arena arena_;
  HistoryRecorder recorder_;
};

}  // namespace raftkv::kv
