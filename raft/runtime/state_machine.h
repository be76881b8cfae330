// The seam to what committed commands change.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "raft/core/types.h"
#include "raft/runtime/snapshot.h"

namespace raftkv::raft {

// Hears the outcome of every command of a run that was applied, in log order, once the run's
// effects are readable.
class OutcomeObserver {
 public:
  virtual ~OutcomeObserver() = default;
  // Whether OnOutcome of this command will be used; others may be skipped, so that nobody computes
  // what nobody reads.
  virtual bool Wants(uint64_t origin, uint64_t sequence) const = 0;
  // `outcome` is the state machine's own encoding.
  virtual void OnOutcome(uint64_t origin, uint64_t sequence, std::string outcome) = 0;
};

// Applies committed entries. Deterministic: equal entries in equal order give equal states and
// outcomes on every member. Confined to the loop's thread. It never waits for the disk. A failed
// write aborts the process.
class StateMachine {
 public:
  virtual ~StateMachine() = default;

  // Applies entries in order, from `run`'s front, and returns how many it applied: all of them,
  // or fewer when the disk would have had to be waited for; the rest must be offered again,
  // unchanged, in a later turn (the store wakes the loop when that is worth while).
  // Effects and applied index change together, in one write per call at most.
  // REQUIRES: run starts right after applied().index.
  virtual size_t Apply(absl::Span<const Entry> run, OutcomeObserver* observer) = 0;

  // The last applied entry.
  virtual EntryId applied() const = 0;

  // A hash over the whole state as it was after the entry at `index`: equal on members whose states
  // are equal. nullopt: that entry is not applied, or longer ago than kHashesKept entries, or a
  // snapshot passed over it.
  static constexpr size_t kHashesKept = 4096;
  virtual std::optional<uint64_t> StateHash(LogIndex index) const = 0;

  // The state as of now.
  virtual std::unique_ptr<SnapshotReader> TakeSnapshot() = 0;
  // Begins to gather a state that is said to stand at `point`. At most one at a time.
  virtual std::unique_ptr<SnapshotWriter> StageSnapshot(const SnapshotPoint& point) = 0;
  // The log store made `snapshot` this member's state: from here on applied() is its last entry.
  // Returns false, changing nothing, while work under way needs the old state; the loop is woken
  // when that is over. Readers of the old state finish on it.
  virtual bool Adopt(const StagedSnapshot& snapshot) = 0;
};

}  // namespace raftkv::raft
