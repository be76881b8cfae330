// The log store of one process, on a simulated disk: a log thread that writes all that is queued,
// syncs it, and reports it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <variant>
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
  bool nearly_full = false;      // Less than its reserve is free.
};

// Confined to one thread. Ends with its process.
class SimLogStore final : public raft::LogStore {
 public:
  struct Hooks {
    std::function<void(const raft::LogWrite&)> on_write;
    std::function<void(raft::LogIndex through)> on_trim;
    std::function<void()> on_install;
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
  void Trim(raft::LogIndex through) override;
  raft::LogIndex FirstOfNewest(uint64_t bytes) const override;
  void Install(std::shared_ptr<raft::StagedSnapshot> snapshot, bool keeps_log) override;
  std::shared_ptr<raft::StagedSnapshot> TakeInstalled() override;

  // Writes all that is queued, as a stop in good order does.
  void FinishWrites();

 private:
  struct Installing {
    std::shared_ptr<raft::StagedSnapshot> snapshot;
    bool keeps_log = false;
  };
  using Work = std::variant<raft::LogWrite, SimDisk::Trim, Installing>;
  // What is durable after a sync.
  struct Batch {
    uint64_t record = 0;  // Its last.
    std::optional<raft::WriteId> last;
    std::shared_ptr<raft::StagedSnapshot> installed;
  };

  SimTime DrawSyncTime();
  void Enqueue(Work work);
  Batch WriteQueue();
  void BeginBatch();
  // Waits for the disk as long as it is stalled.
  void AwaitSync(const Batch& batch, SimTime delay);
  void OnSyncOver(const Batch& batch, bool failed);
  raft::LoadedEntries ReadEntries(const raft::LoadEntries& request) const;

  const SimOptions& options_;
  ProcessEvents& events_;
  SimDisk& disk_;
  DiskFaults& faults_;
  Dice dice_;
  Counters& counters_;
  const Hooks hooks_;

  std::vector<Work> queue_;
  bool busy_ = false;
  std::optional<raft::WriteId> newly_durable_;
  std::shared_ptr<raft::StagedSnapshot> newly_installed_;
  std::vector<raft::LoadedEntries> loaded_;
};

}  // namespace raftkv::simulation
