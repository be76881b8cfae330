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
#include "tests/simulation/trace.h"

namespace raftkv::simulation {

// Faults begin at random moments, overlap, and end after a while, until Freeze. Confined to one
// thread.
class Nemesis {
 public:
  Nemesis(const SimOptions* options, Scheduler* scheduler, Trace* trace, Cluster* cluster,
          Counters* counters);

  void Start();
  // From now on no fault begins or ends by itself. Everything that is wrong within `core` ends, and
  // disks and clocks of turns are well again everywhere; of the other nodes some are dead for good,
  // and the others are cut off, one way or both.
  void Freeze(const std::set<raft::NodeId>& core);

 private:
  using Nodes = std::vector<raft::NodeId>;

  // Runs `end` after the length of a fault, unless frozen by then.
  void Later(Scheduler::Event end);
  void Note(absl::string_view what, raft::NodeId node);
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
  // A fault of its own, beside the others.
  void BeginSlowLinks();
  void SlowSomeLinks();
  // Another: a disk is nearly full.
  void BeginFullDisks();
  // Another: one member is away, dead, cut off or only not heard, for so long that the log goes on
  // without it.
  void BeginAbsences();
  void BeginAbsence();
  // Another: somebody has the leader hand over, to whoever that is.
  void BeginTransfers();
  void BeginLosses();
  // Another: an administrator adds, promotes, moves and removes members.
  void BeginChanges();
  void ChangeMembers();
  // Another: a member's state becomes wrong, until an audit finds that. REQUIRES: three members, so
  // that one is a minority.
  void BeginBends();
  // Until the fault is over, each new leader reaches only the pivot. So several leaders one after
  // the other begin entries that they cannot commit, and the pivot's log goes to and fro (thesis
  // figure 8).
  void Juggle();
  void OnLeader(raft::NodeId leader);
  // Now and then power fails just then.
  void OnInstall(raft::NodeId node);
  void EndJuggle();
  // Cuts the links, and heals them when the fault is over.
  void CutAll(const std::vector<Link>& links);

  raft::NodeId AnyNode();
  // Any node, but the leader more often than others.
  raft::NodeId SomeVictim();
  Nodes Shuffled();

  const SimOptions& options_;
  Scheduler& scheduler_;
  Trace& trace_;
  Cluster& cluster_;
  Counters& counters_;
  Dice dice_;
  Dice full_disk_dice_;
  Dice transfer_dice_;
  Dice loss_dice_;
  Dice change_dice_;
  std::set<raft::NodeId> removed_;  // Know that they are, and do not start again.
  bool frozen_ = false;
  // Of Juggle: kNobody when there is none, and what keeps the newest leader from the others.
  raft::NodeId pivot_ = raft::kNobody;
  std::vector<Link> juggled_;
};

}  // namespace raftkv::simulation
