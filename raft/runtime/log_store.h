// The seam to the disk under the Raft log.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "raft/core/output.h"
#include "raft/core/types.h"
#include "raft/runtime/snapshot.h"

namespace raftkv::raft {

// What a LoadEntries found.
struct LoadedEntries {
  NodeId peer;
  EntryId previous;            // The entry before the first; {0, 0} at the start of the log.
  std::vector<Entry> entries;  // Without gaps, starting at LoadEntries::first.
  bool trimmed = false;        // The log begins after LoadEntries::first; there are no entries.
};

// Keeps hard state and entries. Calls return at once and finish elsewhere; the store wakes the loop
// when something has finished. Confined to the loop's thread, as seen from here. A failed write or
// sync aborts the process: it is unknown, not absent, so nobody may go on from it.
class LogStore {
 public:
  virtual ~LogStore() = default;

  // Makes a write durable, in the order of the calls. Bounded by the core: it keeps at most its
  // uncommitted and in-flight bytes waiting.
  virtual void Write(LogWrite write) = 0;
  // The newest write that is durable, with all before it; nothing when that did not change since
  // the last call.
  virtual std::optional<WriteId> TakeDurable() = 0;

  // Reads entries, seeing at least every write that was durable at the time of the call.
  virtual void Load(const LoadEntries& request) = 0;
  // The loads that have finished since the last call.
  virtual std::vector<LoadedEntries> TakeLoaded() = 0;

  // Forgets the entries up to `through`, some time after this, off the loop. Nothing happens when
  // they are gone already. REQUIRES: they are applied, and the state that holds their effects was
  // written before this call.
  virtual void Trim(LogIndex through) = 0;
  // The first index of the newest entries that take about `bytes` on the disk: the log's first when
  // all of it takes less. Known without the disk, and only roughly.
  virtual LogIndex FirstOfNewest(uint64_t bytes) const = 0;

  // Makes `snapshot` the state of this member, durably and at once with the log that goes with it,
  // after the writes before this call: with `keeps_log` the log stays as it is, else it becomes
  // empty, and goes on after the snapshot. REQUIRES: with `keeps_log` the log holds the snapshot's
  // last entry; without, no entry is written before TakeInstalled tells of the end. At most one at
  // a time.
  virtual void Install(std::shared_ptr<StagedSnapshot> snapshot, bool keeps_log) = 0;
  // What was installed since the last call; null: nothing.
  virtual std::shared_ptr<StagedSnapshot> TakeInstalled() = 0;
};

}  // namespace raftkv::raft
