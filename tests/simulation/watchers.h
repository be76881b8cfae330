// Clients that watch, each at some node until that is gone or they move on, and then at another one
// where they were. What they are told is held against the model: every event of their keys, in
// order, once, and none that never happened.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "kv/watch_hub.h"
#include "raft/core/types.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/options.h"
#include "tests/support/safety_oracle.h"

namespace raftkv::simulation {

// Confined to one thread.
class Watchers {
 public:
  Watchers(const SimOptions* options, const Ledger* ledger, raft::SafetyOracle* findings,
           Counters* counters);

  // A node had a turn: some go there, some ask it for more.
  void OnTurn(raft::NodeId node, kv::WatchHub* hub);
  // A process is gone.
  void OnGone(raft::NodeId node);

 private:
  struct Watcher {
    uint64_t number = 0;
    std::vector<kv::KeyInterval> intervals;
    bool slow = false;
    // All before it was told.
    kv::HistoryPlace told = {};
    raft::NodeId node = raft::kNobody;
    raft::NodeId last_node = raft::kNobody;
    std::unique_ptr<kv::Watch> watch = nullptr;
    bool asked = false;
    bool over = false;  // The watch was ended by its hub.
  };

  void Attach(Watcher* watcher, raft::NodeId node, kv::WatchHub* hub);
  void Ask(Watcher* watcher);
  void Take(Watcher* watcher, const absl::StatusOr<kv::WatchBatch>& batch);
  void TakeEvent(Watcher* watcher, const kv::HistoryEvent& event);
  // The first of the model's events that it must be told next, as far as anybody has applied them.
  const kv::HistoryEvent* Expected(const Watcher& watcher) const;

  const Ledger& ledger_;
  raft::SafetyOracle& findings_;
  Counters& counters_;
  Dice dice_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
};

}  // namespace raftkv::simulation
