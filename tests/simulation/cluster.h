// A whole cluster in one thread: nodes, the network between them, and the oracles that watch.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "tests/simulation/answer_oracle.h"
#include "tests/simulation/counters.h"
#include "tests/simulation/ledger.h"
#include "tests/simulation/log_oracle.h"
#include "tests/simulation/network.h"
#include "tests/simulation/options.h"
#include "tests/simulation/past_readers.h"
#include "tests/simulation/scheduler.h"
#include "tests/simulation/sim_node.h"
#include "tests/simulation/trace.h"
#include "tests/simulation/watchers.h"
#include "tests/spec/raft_spec.h"
#include "tests/support/safety_oracle.h"

namespace raftkv::simulation {

// Confined to one thread.
class Cluster final : public NodeObserver {
 public:
  // All nodes are up. Borrows everything.
  Cluster(const SimOptions* options, Trace* trace, Scheduler* scheduler, Counters* counters);
  ~Cluster() override;

  // Faults and their end. Each does nothing where it does not apply.
  void Start(raft::NodeId node);
  void End(raft::NodeId node, Ending ending);
  void Pause(raft::NodeId node);
  void Continue(raft::NodeId node);
  // Has the leader hand over to `target`; kNobody: to whom it likes.
  void TransferLeadership(raft::NodeId target);
  // A member, when it runs, finds the one that it follows not to take connections.
  void LoseLeaderOf(raft::NodeId follower);
  // Has the leader change who is a member, as an administrator would.
  void ChangeMembers(kv::Membership::Change change);
  // The next node that was never added; kNobody: there is none. Ids are given out in this order.
  raft::NodeId NextNewcomer() const;
  // Ends nodes that are no members by what `leader` knows, and for good those that know it
  // themselves.
  void EndOutsiders(raft::NodeId leader);
  // One node at a time.
  void Bend(raft::NodeId node);
  bool AnyBent() const;
  // Puts a bent leader's state right that no audit can find: a follower lacks what it has trimmed,
  // refuses its snapshots, and so has no answer. An operator would see the alarm, and those.
  void StraightenUnfindable();

  SimNode& node(raft::NodeId id) { return *nodes_.at(id); }
  const std::vector<raft::NodeId>& ids() const { return ids_; }
  Network& network() { return network_; }
  // The node that leads the highest term among those that are up; kNobody when none leads.
  raft::NodeId Leader() const;
  // How often a process ended.
  uint64_t lives(raft::NodeId node) const { return lives_.at(node); }

  raft::SafetyOracle& findings() { return findings_; }
  // What the oracles found that may end the run: all of them, or only the spec.
  const std::vector<std::string>& final_findings() const {
    return options_.only_spec ? spec_findings_ : findings_.findings();
  }
  const Ledger& ledger() const { return ledger_; }
  AnswerOracle& answers() { return answers_; }

  // The process of a node ended by itself, and somebody must start it again.
  void set_on_aborted(std::function<void(raft::NodeId)> on_aborted) {
    on_aborted_ = std::move(on_aborted);
  }
  // A node has won an election, and what it sends as the leader has not left yet.
  void set_on_leader(std::function<void(raft::NodeId)> on_leader) {
    on_leader_ = std::move(on_leader);
  }
  // A node begins to install a snapshot.
  void set_on_install(std::function<void(raft::NodeId)> on_install) {
    on_install_ = std::move(on_install);
  }
  // A node has applied that it is removed.
  void set_on_removed(std::function<void(raft::NodeId)> on_removed) {
    on_removed_ = std::move(on_removed);
  }
  // A process ended; `silently`: its machine with it.
  void set_on_gone(std::function<void(raft::NodeId, bool silently)> on_gone) {
    on_gone_ = std::move(on_gone);
  }

  // What can only be seen when the run is over.
  void CheckAtEnd();

 private:
  // What a process was last seen with.
  struct Seen {
    bool leads = false;
    raft::Term leads_term = {};
    raft::LogIndex commit = {};
    raft::LogIndex applied = {};
    uint64_t turns = 0;
    std::shared_ptr<const raft::Configuration> configuration = {};
  };

  // NodeObserver.
  void OnStarted(const SimNode& node) override;
  void OnSent(const SimNode& node, const raft::Envelope& envelope) override;
  void OnWrite(const SimNode& node, const raft::LogWrite& write) override;
  void OnApplied(const SimNode& node, const std::vector<AppliedStep>& steps) override;
  void OnTrim(const SimNode& node, raft::LogIndex through) override;
  void OnSnapshotSent(const SimNode& node, raft::NodeId peer, raft::Term term,
                      const raft::SnapshotPoint& point) override;
  void OnInstall(const SimNode& node) override;
  void OnSnapshotAdopted(const SimNode& node, const raft::SnapshotPoint& point) override;
  void OnEvent(const SimNode& node, const raft::Event& event) override;
  void OnReadAsked(const SimNode& node, raft::ReadId id, raft::NodeId asker) override;
  void OnReadOutcome(const SimNode& node, const raft::ReadOutcome& outcome) override;
  void OnStateDiffers(const SimNode& node) override;
  void OnAuditFinding(const SimNode& node, const std::string& text) override;
  void OnTurn(const SimNode& node) override;
  void OnAborted(const SimNode& node) override;

  void OnGone(const SimNode& node, bool silently);
  // The spec hears how far a node has committed.
  void TellCommit(const SimNode& node);
  void TellCommitIndex(raft::NodeId id, raft::LogIndex index);
  void NoteChanges(raft::NodeId id, const std::vector<raft::Entry>& entries);
  void TellCommitsBefore(const SimNode& node, const raft::LogWrite& write);
  void NoteConfiguration(const SimNode& node, Seen* seen);
  void CheckRole(const SimNode& node, Seen* seen);
  void CheckMarks(const SimNode& node, Seen* seen);
  void CheckBounds(const SimNode& node);
  void CheckMemory(const SimNode& node);
  void NoteProposals(const SimNode& node, const raft::LogWrite& write);

  const SimOptions& options_;
  const Scheduler& scheduler_;
  Counters& counters_;

  raft::SafetyOracle findings_;
  std::vector<std::string> spec_findings_;  // Also among `findings_`.
  raft::RaftSpec spec_;
  std::map<raft::NodeId, const SimDisk*> disks_;
  LogOracle logs_;
  Ledger ledger_;
  AnswerOracle answers_;

  Network network_;
  std::vector<raft::NodeId> ids_;
  std::map<raft::NodeId, std::unique_ptr<SimNode>> nodes_;
  Watchers watchers_;
  PastReaders past_readers_;
  std::map<raft::NodeId, Seen> seen_;
  std::map<raft::NodeId, uint64_t> lives_;
  std::set<raft::NodeId> straightened_;
  raft::Term last_led_term_;
  // Operations whose command is in some log, and in which entry first.
  std::map<OperationNumber, raft::EntryId> proposed_;
  std::function<void(raft::NodeId)> on_aborted_;
  std::function<void(raft::NodeId)> on_leader_;
  std::function<void(raft::NodeId)> on_install_;
  std::function<void(raft::NodeId)> on_removed_;
  // Where the newest configuration in each node's log stands, and what the spec was told last of
  // what is committed.
  std::map<raft::NodeId, raft::LogIndex> newest_configuration_;
  std::map<raft::NodeId, raft::LogIndex> told_commit_;
  // By node, where configurations stand in what it has written, and whether they are joint.
  std::map<raft::NodeId, std::map<raft::LogIndex, bool>> changes_;
  // By node, of the newest term in its log, its first entry.
  std::map<raft::NodeId, raft::EntryId> first_of_newest_term_;
  std::function<void(raft::NodeId, bool)> on_gone_;
};

}  // namespace raftkv::simulation
