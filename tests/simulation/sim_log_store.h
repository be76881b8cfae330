// The log store of one process, on a simulated disk: a log thread that writes all that is queued,
// syncs it, and reports it.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "raft/runtime/log_store.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/options.h"
#include "tests/simulation/process_events.h"
#include "tests/simulation/sim_disk.h"

namespace raftkv::simulation {

// What is wrong with a node's disk at the moment.
struct DiskFaults {
  bool stalled = false;          // Syncs do not end.
  bool next_sync_fails = false;  // EIO, once.
  int64_t slowness = 1;          // Syncs take so many times as long.
};

// Confined to one thread. Ends with its process.
class SimLogStore final : public raft::LogStore {
 public:
  struct Hooks {
    std::function<void(const raft::LogWrite&)> on_write;
    std::function<void()> on_news;         // There is something to take.
    std::function<void()> on_failed_sync;  // The process must end without saying anything.
  };

  // Borrows everything; disk and faults outlive the process.
  SimLogStore(const SimOptions* options, ProcessEvents* events, SimDisk* disk, DiskFaults* faults,
              Dice dice, Counters* counters, Hooks hooks);

  void Write(raft::LogWrite write) override;
  std::optional<raft::WriteId> TakeDurable() override;
  void Load(const raft::LoadEntries& request) override;
  std::vector<raft::LoadedEntries> TakeLoaded() override;

  // Writes all that is queued, as a stop in good order does.
  void FinishWrites();

 private:
  SimTime DrawSyncTime();
  void BeginBatch();
  // Waits for the disk as long as it is stalled.
  void AwaitSync(uint64_t record, raft::WriteId last, SimTime delay);
  void OnSyncOver(raft::WriteId last, bool failed);
  raft::LoadedEntries ReadEntries(const raft::LoadEntries& request) const;

  const SimOptions& options_;
  ProcessEvents& events_;
  SimDisk& disk_;
  DiskFaults& faults_;
  Dice dice_;
  Counters& counters_;
  const Hooks hooks_;

  std::vector<raft::LogWrite> queue_;
  bool busy_ = false;
  std::optional<raft::WriteId> newly_durable_;
  std::vector<raft::LoadedEntries> loaded_;
};

}  // namespace raftkv::simulation
