// What goes wrong in a run, and when it is over.
#pragma once

#include <cstdint>
#include <set>
#include <vector>

#include "tests/simulation/cluster.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/options.h"
#include "tests/simulation/scheduler.h"

namespace raftkv::simulation {

// Faults begin at random moments, overlap, and end after a while, until Freeze. Confined to one
// thread.
class Nemesis {
 public:
  Nemesis(const SimOptions* options, Scheduler* scheduler, Cluster* cluster, Counters* counters);

  void Start();
  // From now on no fault begins or ends by itself. Everything that is wrong within `core` ends, and
  // disks and clocks of turns are well again everywhere; of the other nodes some are dead for good,
  // and the others are cut off, one way or both.
  void Freeze(const std::set<raft::NodeId>& core);

 private:
  using Nodes = std::vector<raft::NodeId>;

  // Runs `end` after the length of a fault, unless frozen by then.
  void Later(Scheduler::Event end);
  void BeginFaults();
  void BeginOne();
  void CrashSome();
  void CrashOne(raft::NodeId node);
  void PauseSome();
  void TroubleDisk();
  void SlowDown();
  void Partition();
  void CutOneWay();
  void Bridge();
  void Star();
  void ClogSome();
  void ResetSome();
  // Cuts the links, and heals them when the fault is over.
  void CutAll(const std::vector<Link>& links);

  raft::NodeId AnyNode();
  // Any node, but the leader more often than others.
  raft::NodeId SomeVictim();
  Nodes Shuffled();

  const SimOptions& options_;
  Scheduler& scheduler_;
  Cluster& cluster_;
  Counters& counters_;
  Dice dice_;
  bool frozen_ = false;
};

}  // namespace raftkv::simulation
