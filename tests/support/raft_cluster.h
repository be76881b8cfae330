// A small cluster of RaftCores in memory, stepped by hand: disks that forget what was not made
// durable, a network that does what the test says, and an oracle and the spec of tests/spec that
// watch every output. Nothing here decides anything by itself, so the same calls always give the
// same run.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "raft/core/raft_core.h"
#include "tests/spec/raft_spec.h"
#include "tests/support/safety_oracle.h"

namespace raftkv::raft {

// Told of what nodes do, in order; for transcripts.
class ClusterObserver {
 public:
  virtual ~ClusterObserver() = default;
  virtual void OnOutput(NodeId node, const Output& output) = 0;
};

class RaftCluster {
 public:
  // What a node asked its log store for, read at once: however late the answer comes, it says what
  // was on the disk then.
  struct LoadedEntries {
    NodeId peer;
    EntryId previous;
    std::vector<Entry> entries;
    bool trimmed = false;
  };
  // A state on its way from a leader, and the log that made it.
  struct Snapshot {
    NodeId from;
    NodeId to;
    Term term;
    SnapshotMeta meta;
    std::vector<Entry> log;
  };
  struct Node {
    std::unique_ptr<RaftCore> core;  // Null while crashed.
    // What is durable. What was trimmed, or came as a snapshot, stays here for who compares logs;
    // the node itself does not see it.
    HardState hard_state;
    std::vector<Entry> log;
    LogIndex trimmed;  // Its log begins after this.
    LogIndex applied;
    // What is not durable yet, and what was not answered yet.
    std::deque<LogWrite> writes;
    std::deque<LoadedEntries> loads;
    bool persists_at_once = true;
    bool loads_at_once = true;
    bool applies_at_once = true;
    bool installs_at_once = true;
    std::vector<Entry> to_apply;
    std::vector<NodeId> snapshots_wanted;
    std::optional<Snapshot> installing;
    uint64_t restarts = 0;
  };

  // Who asked for a read, and in which term.
  struct AskedRead {
    NodeId asker;
    Term term;
  };

  // `config.self` is ignored. The observer may be null. `strangers` are nodes that are no members
  // yet.
  RaftCluster(const RaftConfig& config, Configuration configuration, uint64_t seed,
              ClusterObserver* observer, const std::set<NodeId>& strangers = {});

  // Inputs; each is followed by carrying out the node's output. REQUIRES: the node is up.
  void Tick(NodeId node);
  // Each payload an entry, before any output is taken. Stops at the first that is refused, and says
  // why.
  absl::Status Propose(NodeId node, const std::vector<std::string>& payloads);
  absl::Status ProposeConfiguration(NodeId node, Configuration to);
  absl::Status TransferLeadership(NodeId node, NodeId target);
  void Read(NodeId node, ReadId id);
  // A read that `asker` wants to forward: HandRead brings it to any node at any later time, which
  // refuses it unless it leads the term in which it was asked.
  void AskRead(NodeId asker, ReadId id);
  // Returns whether the node took it. REQUIRES: the read was asked and not handed over yet.
  bool HandRead(NodeId node, ReadId id);
  const std::map<ReadId, AskedRead>& asked_reads() const { return asked_reads_; }
  void LoseStream(NodeId node, NodeId peer);
  // A part of a large message of `from`, in its term, arrives.
  void DeliverPart(NodeId from, NodeId to);
  // Makes the oldest `count` writes durable.
  void Persist(NodeId node, uint64_t count);
  void AnswerLoad(NodeId node);
  void Apply(NodeId node);
  void SetPersistsAtOnce(NodeId node, bool at_once);
  // Forgets the log up to `through`, or as far as it is applied.
  void Trim(NodeId node, LogIndex through);
  // Takes a snapshot of the node's state, for `peer`, as the leader of its term.
  Snapshot TakeSnapshot(NodeId node, NodeId peer);
  // The snapshot arrives. Returns what the node makes of it.
  RaftCore::SnapshotUse DeliverSnapshot(const Snapshot& snapshot);
  // Makes durable what the node is installing, and all that it wrote before.
  void FinishInstall(NodeId node);
  void EndSnapshot(NodeId node, NodeId peer);
  // Carries out what is pending at the node.
  void Drain(NodeId node);

  void Crash(NodeId node);
  // Starts again from the disk, with the state machine as of `applied`, and the log in memory from
  // after `previous`; without them as it was, and with the whole log. REQUIRES: what was trimmed <=
  // previous <= applied <= what was applied.
  void Restart(NodeId node, std::optional<LogIndex> applied = std::nullopt,
               std::optional<LogIndex> previous = std::nullopt);

  // The network: what was sent and neither delivered nor lost.
  std::deque<Envelope>& network() { return network_; }
  void Deliver(Envelope envelope);
  void Cut(NodeId from, NodeId to) { cut_.insert({from, to}); }
  void HealAll() { cut_.clear(); }
  bool IsCut(NodeId from, NodeId to) const { return cut_.contains({from, to}); }

  Node& node(NodeId id) { return nodes_.at(id); }
  const std::map<NodeId, Node>& nodes() const { return nodes_; }
  bool IsUp(NodeId id) const { return nodes_.at(id).core != nullptr; }
  SafetyOracle& oracle() { return oracle_; }
  // Tells the oracle where two disks break the log matching property (thesis §3.5).
  void CheckLogMatching();

 private:
  std::unique_ptr<RaftCore> StartCore(NodeId id, LogIndex applied, LogIndex previous);
  void CarryOut(NodeId id, Output output);
  void RequestRead(NodeId id, ReadId read, NodeId asker);
  void WriteToDisk(NodeId id, const LogWrite& write);
  // As a state machine keeps it.
  Configuration ConfigurationAsOf(const Node& node, LogIndex applied) const;
  // Whether anything was pending.
  bool DrainOnce(NodeId id);

  // Constant after construction.
  const RaftConfig config_;
  const Configuration configuration_;  // Configuration 0.
  const uint64_t seed_;
  ClusterObserver* const observer_;

  std::map<NodeId, Node> nodes_;
  std::deque<Envelope> network_;
  std::set<std::pair<NodeId, NodeId>> cut_;
  std::map<ReadId, AskedRead> asked_reads_;
  SafetyOracle oracle_;
  RaftSpec spec_;
  uint64_t stamp_ = 0;
};

}  // namespace raftkv::raft
