// The one history that all nodes apply: what was committed, what it meant, and what every node must
// have made of it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "absl/functional/function_ref.h"
#include "raftkv/log/v1/command.pb.h"
#include "tests/simulation/command_tag.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/log_oracle.h"
#include "tests/simulation/model_store.h"
#include "tests/simulation/options.h"
#include "tests/simulation/sim_state_machine.h"
#include "tests/support/safety_oracle.h"

namespace raftkv::simulation {

// Confined to one thread.
class Ledger {
 public:
  // What a client's command came to.
  struct Effect {
    raft::LogIndex index;
    log::v1::CommandOutcome outcome;
  };

  Ledger(const SimOptions* options, const Scheduler* scheduler, const LogOracle* logs,
         raft::SafetyOracle* findings, Counters* counters)
      : options_(*options),
        scheduler_(*scheduler),
        logs_(*logs),
        findings_(*findings),
        counters_(*counters) {}

  // A node applied entries. Whoever is first defines what is at an index; the model defines what it
  // means.
  void OnApplied(raft::NodeId node, const std::vector<AppliedStep>& steps);
  // A node begins with the applied state that its disk holds.
  void OnStarted(raft::NodeId node, const TableContent& content);
  // What `hash_at` says of an entry up to `applied`, nullopt where the node keeps none, is the hash
  // of the state that the model had there.
  void CheckStateHashes(
      raft::NodeId node, raft::LogIndex applied,
      absl::FunctionRef<std::optional<uint64_t>(raft::LogIndex index)> hash_at) const;
  // A snapshot has become the state of a node.
  void OnSnapshotAdopted(raft::NodeId node, const TableContent& content);
  // A node's hash of its rows may be any, until it has another state that is right.
  void Excuse(raft::NodeId node) { excused_.insert(node); }
  // No process of the cluster runs any more.
  void OnAllDown() { all_down_at_ = scheduler_.now(); }

  // The client was told that its command had no effect and never will.
  void OnRefused(OperationNumber operation);
  // Null while it is not applied anywhere.
  const Effect* Find(OperationNumber operation) const;

  raft::LogIndex last() const { return raft::LogIndex(entries_.size()); }
  // The store's revision after the entry at `index`. REQUIRES: index <= last().
  int64_t RevisionAt(raft::LogIndex index) const {
    return index.value() == 0 ? 0 : entries_.at(index.value() - 1).applied.revision;
  }
  const ModelStore& model() const { return model_; }

 private:
  struct CommittedEntry {
    raft::EntryId id;
    uint64_t state_hash;
    kv::AppliedState applied;  // Its history as the first node has it.
  };

  struct Lead {
    int64_t nanos;
    raft::LogIndex index;
  };

  // The state is what the entries up to where it stands made everywhere, and has the hash of its
  // rows.
  void CheckState(raft::NodeId node, const TableContent& content, absl::string_view what);
  // The events that the state has are the model's, from where its history begins.
  void CheckEvents(raft::NodeId node, const TableContent& content);
  void Append(raft::NodeId node, const AppliedStep& step);
  void NoteKinds(const log::v1::Txn& txn, const log::v1::CommandOutcome& outcome);
  void ApplyToModel(const log::v1::Command& command, const EntryFacts& entry);
  // Between any two entries of commands, cluster time never runs faster than the fastest clock.
  void CheckClusterTime(const EntryFacts& entry, raft::EntryKind kind);
  void CheckExpiries(const EntryFacts& entry);
  void CheckLeaseExpiries(const EntryFacts& entry);
  void NoteLease(const log::v1::Command& command, const log::v1::CommandOutcome& outcome);
  // A time as the fastest clock may measure it, rounded up.
  int64_t FastestNanos(SimTime nanos) const;

  const SimOptions& options_;
  const Scheduler& scheduler_;
  const LogOracle& logs_;
  raft::SafetyOracle& findings_;
  Counters& counters_;

  std::vector<CommittedEntry> entries_;  // entries_[i] has index i + 1.
  ModelStore model_;
  std::map<OperationNumber, Effect> effects_;
  std::set<OperationNumber> refused_;
  std::set<raft::NodeId> excused_;
  // The smallest (stamp - fastest clock) of all entries so far.
  std::optional<Lead> least_lead_;
  raft::ClusterMillis last_stamp_;
  std::optional<SimTime> all_down_at_;
};

}  // namespace raftkv::simulation
