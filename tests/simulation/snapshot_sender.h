// How a simulated leader brings snapshots to followers: on a stream for each, chunk by chunk as the
// follower asks for them, again from where it got to when the stream breaks, until it gives up.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "raft/runtime/snapshot.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/frames.h"
#include "tests/simulation/network.h"
#include "tests/simulation/options.h"
#include "tests/simulation/process_events.h"
#include "tests/simulation/scheduler.h"

namespace raftkv::simulation {

// Confined to one thread. Ends with its process.
class SnapshotSender {
 public:
  struct Hooks {
    std::function<void(raft::NodeId peer, raft::Term term, const raft::SnapshotPoint& point)>
        on_begun;
    std::function<void(raft::NodeId peer, const absl::Status& status)> on_ended;
  };

  // Borrows everything.
  SnapshotSender(raft::NodeId self, const SimOptions* options, const Scheduler* scheduler,
                 ProcessEvents* events, Network* network, Dice dice, Counters* counters,
                 Hooks hooks);

  // As raft::Transport's.
  void Send(raft::NodeId peer, raft::Term term, std::unique_ptr<raft::SnapshotReader> reader);
  void Stop(raft::NodeId peer);

  void OnAnswer(raft::NodeId peer, const SnapshotAnswer& answer);
  void OnStreamLost(raft::NodeId peer);
  // Looks who has to be asked again, or given up.
  void Tick();

 private:
  struct Sending {
    raft::Term term;
    std::shared_ptr<raft::SnapshotReader> reader;
    // Nobody waits for its end: a call that came late, or twice.
    bool is_echo = false;
    uint64_t attempt = 0;
    bool is_open = false;  // The attempt may still come to something.
    SimTime opened_at = 0;
    SimTime heard_at = 0;  // Of the follower.
  };

  void Begin(raft::NodeId peer, Sending sending);
  void Open(raft::NodeId peer, Sending* sending);
  void SendChunk(raft::NodeId peer, uint64_t attempt, uint64_t number);
  void End(raft::NodeId peer, const absl::Status& status);
  void MaybeEcho(raft::NodeId peer, Sending sending);

  const raft::NodeId self_;
  const SimOptions& options_;
  const Scheduler& scheduler_;
  ProcessEvents& events_;
  Network& network_;
  Dice dice_;
  Counters& counters_;
  const Hooks hooks_;

  std::map<raft::NodeId, Sending> sendings_;
  uint64_t last_attempt_;
};

}  // namespace raftkv::simulation
