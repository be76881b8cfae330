// How a simulated follower takes a snapshot: it stages what comes in beside its state, keeps it for
// a while when the stream breaks, and offers the whole to its driver.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "raft/runtime/raft_driver.h"
#include "raft/runtime/snapshot.h"
#include "raft/runtime/state_machine.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/frames.h"
#include "tests/simulation/network.h"
#include "tests/simulation/options.h"
#include "tests/simulation/process_events.h"
#include "tests/simulation/scheduler.h"

namespace raftkv::simulation {

// Confined to one thread. Ends with its process.
class SnapshotReceiver {
 public:
  // Borrows everything. `on_news`: the driver has something to do.
  SnapshotReceiver(raft::NodeId self, const SimOptions* options, const Scheduler* scheduler,
                   ProcessEvents* events, Network* network, raft::RaftDriver* driver,
                   raft::StateMachine* state_machine, Dice dice, Counters* counters,
                   std::function<void()> on_news);

  void OnOffer(raft::NodeId from, const SnapshotOffer& offer);
  void OnChunk(raft::NodeId from, SnapshotChunk chunk);
  // Drops what nobody goes on with.
  void Tick();

 private:
  // The one that is coming in.
  struct Staging {
    uint64_t number = 0;  // Of all that came in.
    raft::NodeId from;
    SnapshotOffer offer;
    std::unique_ptr<raft::SnapshotWriter> writer;
    uint64_t next_chunk = 0;
    bool busy = false;  // With the disk.
    SimTime touched_at = 0;
  };

  bool Holds(raft::NodeId from, const SnapshotOffer& offer) const;
  // After as long as a disk takes, if it is still this one that is staged.
  void OnDiskDone(std::function<void()> event);
  void Stage(const SnapshotChunk& chunk);
  void Install(std::shared_ptr<raft::StagedSnapshot> snapshot);
  void AskForNext();
  // It wants no chunk any more: because it has all, or why not.
  void EndAttempt(raft::NodeId from, uint64_t attempt, const absl::Status& status);

  const raft::NodeId self_;
  const SimOptions& options_;
  const Scheduler& scheduler_;
  ProcessEvents& events_;
  Network& network_;
  raft::RaftDriver& driver_;
  raft::StateMachine& state_machine_;
  Dice dice_;
  Counters& counters_;
  const std::function<void()> on_news_;

  std::optional<Staging> staging_;
  uint64_t last_number_ = 0;
};

}  // namespace raftkv::simulation
