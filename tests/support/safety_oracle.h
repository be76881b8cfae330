// Watches all nodes of a cluster from outside, whatever the nodes themselves forget.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "raft/core/message.h"
#include "raft/core/output.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// What it finds is a broken promise of Raft (thesis figure 3.2); each finding is one line of text.
// Confined to one thread.
class SafetyOracle {
 public:
  // What a node's disk would give back after a power cut.
  struct Durable {
    HardState hard_state;
    EntryId last_entry;
  };

  // At most one leader per term.
  void OnLeader(NodeId node, Term term);
  // Whoever comes to lead a term has all that was applied anywhere. `log` is what is on its disk,
  // entry i + 1 at i: what a candidate has is durable.
  void OnLeadersLog(Term term, const std::vector<Entry>& log);
  // At most one vote per node and term, ever.
  void OnVote(NodeId node, Term term, NodeId candidate);
  // A message leaves its sender. What it promises must be on the sender's disk already; a vote
  // that it holds counts.
  void OnSent(const Envelope& envelope, const Durable& durable);
  // All nodes apply the same entry at an index, each in order.
  void OnApplied(NodeId node, const Entry& entry);
  // A node starts again from what it had applied.
  void OnRestarted(NodeId node, LogIndex applied);
  void OnCommitIndex(LogIndex commit_index);
  // A linearizable read reflects all that was committed when it was asked for.
  void OnReadAsked(ReadId id);
  void OnReadAnswered(const ReadOutcome& read);
  // A promise of another kind.
  void Expect(bool holds, absl::FunctionRef<std::string()> promise);

  const std::vector<std::string>& findings() const { return findings_; }
  LogIndex max_commit_index() const { return max_commit_index_; }
  uint64_t reads_answered() const { return reads_answered_; }
  // Votes that a node gave again, to the same candidate.
  uint64_t repeated_votes() const { return repeated_votes_; }

 private:
  std::map<Term, NodeId> leaders_;
  Term leaders_log_seen_;  // The newest term of which.
  std::map<std::pair<NodeId, Term>, NodeId> votes_;
  std::map<LogIndex, Entry> committed_;
  std::map<NodeId, LogIndex> applied_;
  std::map<ReadId, LogIndex> asked_;
  LogIndex max_commit_index_;
  uint64_t reads_answered_ = 0;
  uint64_t repeated_votes_ = 0;
  std::vector<std::string> findings_;
};

}  // namespace raftkv::raft
