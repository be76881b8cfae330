// What servers of a Raft cluster may do, as plainly as the thesis says it: a relation between what
// was stored and said so far (figure 3.1) and the next step. Told of a run step by step, it rejects
// the first step that is not allowed.
//
// It knows neither clocks nor a network: what was sent may arrive late, often or never, so a step
// is allowed as soon as what it rests on was sent. It says what must not happen, never what must,
// and so nothing of timeouts and of live leaders (§4.2.3, §6.2). It shares raft/core's types, but
// decides nothing by its code. Rules name the sections that make them. Confined to one thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "raft/core/configuration.h"
#include "raft/core/message.h"
#include "raft/core/output.h"
#include "raft/core/types.h"

namespace raftkv::raft {

class RaftSpec {
 public:
  using Log = std::vector<Entry>;  // Entry i has index i + 1.
  // What a server would find if it lost power now; the ids of entries that a snapshot stands for
  // are still in the log. Borrowed.
  struct StableStorage {
    const HardState* hard_state;
    const Log* log;
  };
  // A read as a leader takes it. `asker` was in `term` when it asked (ADR 6).
  struct ReadRequest {
    NodeId asker;
    Term term;
    LogIndex commit_index;
    // The newest that had begun, and who counted then; the spec finds them itself.
    RoundId last_round = {};
    std::shared_ptr<const Configuration> configuration = {};
  };

  // `reject` is called at most once, with the step and the rule that forbids it.
  RaftSpec(const Configuration& founded, std::function<void(const std::string&)> reject)
      : reject_(std::move(reject)) {
    founded_.configuration = std::make_shared<const Configuration>(founded);
  }

  // The steps. A server's write comes before what it says, commits or answers on the ground of it,
  // and its commit index before what mentions it.
  void OnStarted(NodeId id, const StableStorage& storage, LogIndex applied);
  void OnWrite(NodeId id, const LogWrite& write);  // Not durable yet.
  void OnSent(const Envelope& envelope);
  void OnCommitIndex(NodeId id, LogIndex commit_index);
  void OnApplied(NodeId id, EntryId entry);
  // A snapshot that ends with `last`: a leader begins to send it (figure 5.3), and who was sent it
  // has made it its state, durably.
  void OnSnapshotSent(NodeId id, NodeId to, Term term, EntryId last);
  void OnSnapshotInstalled(NodeId id, EntryId last);
  void OnReadAsked(NodeId id, ReadId read, ReadRequest request);
  void OnReadAnswered(NodeId id, const ReadOutcome& outcome);

 private:
  // Figure 3.1, state on all servers; the first two as last handed to the disk.
  struct Server {
    HardState hard_state;
    Log log;
    LogIndex commit_index, last_applied;
    StableStorage storage;
    Term leads = {};  // The last term that it came to lead since it started; 0: none.
    std::map<ReadId, ReadRequest> reads = {};
  };
  // All that was ever said in one term, with figure 3.1's state on leaders.
  struct TermState {
    std::map<NodeId, std::set<NodeId>> pre_votes;  // Candidate: who granted.
    std::map<NodeId, EntryId> candidates;          // And the end of their logs.
    std::map<NodeId, NodeId> votes;                // Voter: candidate.
    NodeId leader = kNobody;
    std::set<NodeId> asked_to_stand;  // In the next term, by the leader.
    Log log;                          // The leader's. It only grows, and outlives the leader.
    std::map<NodeId, LogIndex> match_index;
    RoundId last_round;
    std::map<NodeId, RoundId> sent_round, answered_round;
  };

  void Require(bool allowed, const char* rule);
  // §4.1: the entry of the newest configuration in the log counts, committed or not.
  const Entry& NewestConfiguration(const Log& log) const;
  bool IsQuorum(const Log& log, absl::FunctionRef<bool(NodeId)> counts) const;
  static bool IsQuorumOf(const Configuration& now, absl::FunctionRef<bool(NodeId)> counts);
  // Requires that the server leads the term, which it may have begun with this step.
  void RequireLeader(NodeId id, Term number);
  void ChangeHardState(NodeId id, HardState before, EntryId last_before);
  void Say(const Envelope& sent, const VoteRequest& request);
  void Say(const Envelope& sent, const VoteReply& reply);
  void Say(const Envelope& sent, const AppendRequest& request);
  void Say(const Envelope& sent, const AppendAccepted& reply);
  void Say(const Envelope&, const AppendRejected&) {}  // Promises nothing.
  void Say(const Envelope& sent, const Heartbeat& heartbeat);
  void Say(const Envelope& sent, const HeartbeatReply& reply);
  void Say(const Envelope& sent, const TimeoutNow& request);

  Entry founded_;  // Not in any log; holds what counts where no entry does.
  const std::function<void(const std::string&)> reject_;
  std::function<std::string()> step_;  // Says what the current one is.
  bool rejected_ = false;
  std::map<NodeId, Server> servers_;
  std::map<Term, TermState> terms_;
  Log committed_;  // By any leader.
  // What servers did in any of their lives, and the largest commit index that a leader sent them.
  std::map<NodeId, Term> spoke_in_;
  std::map<NodeId, LogIndex> told_commit_;
  std::map<NodeId, std::set<LogIndex>> sent_snapshots_;  // And where what was sent them ends.
};

}  // namespace raftkv::raft
