// StateAudit is a leader's part in finding out whether its members' states are equal (ADR 20):
// which entry they are asked about, what they answered, and who is wrong by that. It decides by
// numbers alone; RaftDriver carries them.
//
// An audit asks every member for the hash of its state after one entry. What a quorum of the
// voters, two at least, answers is right, and whoever answers another is wrong, the leader itself
// as well. When there is no such quorum, nobody can tell who is right. Answers count in the term,
// for the entry and for the members for which they were asked.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "base/clock.h"
#include "raft/core/configuration.h"
#include "raft/core/message.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// A state that is not what a quorum of the voters has.
struct StateDifference {
  LogIndex index;  // After the entry there.
  uint64_t own_hash = 0;
  uint64_t right_hash = 0;
};

// Confined to one thread.
class StateAudit {
 public:
  // From the begin of an audit to that of the next, however quiet it is: a member that has started
  // again is audited, too.
  static constexpr MonotonicNanos kInterval = kNanosPerSecond;
  // From the first heartbeat that asks; who has not answered by then is asked in the next audit.
  static constexpr MonotonicNanos kAnswerTimeMax = 5 * kNanosPerSecond;

  // A member that leads.
  struct Leadership {
    Term term;
    NodeId self;
    const Configuration& configuration;
    LogIndex applied;
  };

  // Time has passed for a leader: ends what has waited long enough, and begins the next audit when
  // it is time and `state_hash` knows the own state after the applied entry. Another term or
  // configuration than before forgets all that was found.
  void Tick(const Leadership& leadership,
            absl::FunctionRef<std::optional<uint64_t>(LogIndex)> state_hash, MonotonicNanos now);
  // This member does not lead: forgets all.
  void Stop() { *this = StateAudit(); }

  // What a heartbeat of `term` that leaves now asks its addressee; 0: nothing.
  LogIndex Ask(Term term, MonotonicNanos now);
  // A member's news, in a message of `term`.
  void TakeAnswer(NodeId member, Term term, const MemberNews& news);

  // By what `member`, maybe this one, was found wrong in `term` last; index 0: it was not, or was
  // found right since.
  StateDifference DifferenceOf(NodeId member, Term term) const;
  // Whom answers found wrong since the last call.
  std::vector<NodeId> TakeFound();
  // The newest entry after which the states differ and no quorum has the same; 0: none. Goes when a
  // quorum agrees, and with another configuration until the next audit.
  LogIndex disagreement() const { return disagreement_; }

 private:
  bool under_way() const { return audited_ != LogIndex(0); }
  bool HasAllAnswers() const;
  // What a quorum of the voters answered.
  std::optional<uint64_t> RightHash() const;
  void Judge();
  void End();

  Term term_;
  Configuration configuration_;
  // 0: none is under way.
  LogIndex audited_;
  MonotonicNanos next_begin_ = 0;
  // Unset until somebody is asked.
  std::optional<MonotonicNanos> asked_at_;
  // The hashes after `audited_`, the own one among them.
  std::map<NodeId, uint64_t> answers_;
  std::map<NodeId, StateDifference> differences_;
  std::vector<NodeId> found_;
  LogIndex disagreement_;
};

}  // namespace raftkv::raft
