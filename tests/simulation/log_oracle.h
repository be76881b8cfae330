// What must hold of the logs of all nodes: kept outside of them, from what they write, commit and
// forget.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "raft/core/configuration.h"
#include "raft/core/output.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/sim_disk.h"
#include "tests/support/safety_oracle.h"

namespace raftkv::simulation {

// Confined to one thread.
class LogOracle {
 public:
  // `disks` are those of all nodes.
  LogOracle(const Scheduler* scheduler, const std::map<raft::NodeId, const SimDisk*>* disks,
            raft::SafetyOracle* findings, Counters* counters)
      : scheduler_(*scheduler), disks_(*disks), findings_(*findings), counters_(*counters) {}

  // A node begins with what its disk holds.
  void OnStarted(raft::NodeId node);
  // A node hands a write to its disk. Log matching (thesis §3.5): entries with one id are one entry
  // and follow one entry.
  void OnWrite(raft::NodeId node, const raft::LogWrite& write);
  // A node hands a trim to its disk. What goes is applied, and so is all else that the node forgot:
  // its state stands for it.
  void OnTrim(raft::NodeId node, raft::LogIndex through, raft::LogIndex applied);
  // A node has installed a snapshot: its log goes on from what its disk holds now.
  void OnSnapshotAdopted(raft::NodeId node);
  // A node's commit index rose to an entry of `term`. What is committed never changes, and a leader
  // commits what is durable on a quorum (thesis §3.6.2) of one of `quorums`, the configurations by
  // which it may have counted. Of who is no leader there are none.
  using Quorums = std::vector<std::shared_ptr<const raft::Configuration>>;
  void OnCommit(raft::NodeId node, raft::EntryId id, const Quorums& quorums);
  // A node begins to lead. It has all that is committed (thesis §3.6.3).
  void OnLeader(raft::NodeId node, raft::Term term);

  // When the entry was first written anywhere. REQUIRES: it was.
  SimTime ProposedAt(raft::EntryId id) const { return entries_.at(Key(id)).proposed_at; }
  // The last committed entry, as far as any node knows.
  raft::EntryId last_committed() const { return last_committed_; }

 private:
  using Key2 = std::pair<raft::Term, raft::LogIndex>;
  struct KnownEntry {
    uint64_t content;  // Its fingerprint.
    raft::EntryId previous;
    SimTime proposed_at;
  };
  struct NodeLog {
    std::vector<raft::EntryId> ids;  // ids[i] has index i + 1.
    std::set<Key2> overwritten;
    raft::LogIndex committed;
  };

  static Key2 Key(raft::EntryId id) { return {id.term, id.index}; }
  void CheckForgotten(raft::NodeId node);
  void Truncate(raft::NodeId node, NodeLog* log, uint64_t kept);
  bool IsDurableOnQuorum(raft::EntryId id, const raft::Configuration& configuration) const;

  const Scheduler& scheduler_;
  const std::map<raft::NodeId, const SimDisk*>& disks_;
  raft::SafetyOracle& findings_;
  Counters& counters_;

  std::map<Key2, KnownEntry> entries_;
  std::map<raft::NodeId, NodeLog> logs_;
  std::map<raft::LogIndex, raft::Term> committed_;
  raft::EntryId last_committed_;
};

}  // namespace raftkv::simulation
