// The proposals of this member's clients, from Propose to their answer.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "raft/core/types.h"
#include "raft/runtime/leader_watch.h"
#include "raft/runtime/requests.h"
#include "raft/runtime/transport.h"

namespace raftkv::raft {

// How many proposals, and how many bytes of them, a member holds; its own clients' and forwarded
// ones share it.
class ProposalBudget {
 public:
  ProposalBudget(uint64_t proposals_max, uint64_t bytes_max)
      : proposals_max_(proposals_max), bytes_max_(bytes_max) {}

  // Returns false, taking nothing, when there is no room.
  [[nodiscard]] bool TryTake(uint64_t bytes);
  // REQUIRES: it was taken.
  void GiveBack(uint64_t bytes);
  uint64_t proposals() const { return proposals_; }

 private:
  const uint64_t proposals_max_;
  const uint64_t bytes_max_;
  uint64_t proposals_ = 0;
  uint64_t bytes_ = 0;
};

// A proposal either waits, and then it is certain that it has no effect,
// or it is bound to the one term in which it was handed to the log or to the leader.
// It has a sequence number only while it is bound, a fresh one each time:
// whatever comes late and speaks of an earlier attempt then finds nobody.
//
// Why a bound proposal may go back to waiting once an entry of a later term was applied here: the
// leader of its term takes it in that term only, and a log's terms never decrease, so in the
// committed log it can only stand before that entry, where it would have been seen. The earlier
// attempt can therefore never be applied, wherever copies of it are. That it would have been seen
// does not hold for entries whose effects came with a snapshot: OnOutcomesSkipped.
//
// Answers are collected and handed over by TakeAnswers, so no callback runs inside any call.
// Confined to the loop's thread.
class PendingProposals {
 public:
  struct Answer {
    ProposalCallback done;
    ProposalResult result;
    std::string outcome;
  };
  struct HandedOut {
    uint64_t sequence = 0;
    absl::string_view command;  // Valid until the next call.
  };

  PendingProposals(ProposalBudget* budget, MonotonicNanos leader_wait, uint64_t first_sequence)
      : budget_(*budget), leader_wait_(leader_wait), next_sequence_(first_sequence) {}

  // Lets a proposal wait, or answers kOverloaded.
  void Add(std::string command, MonotonicNanos deadline, MonotonicNanos now, ProposalCallback done);

  // Answers expired proposals at the front of the queue; returns whether a live one waits there.
  bool PrepareFront(MonotonicNanos now, const LeaderWatch& watch);
  // REQUIRES: PrepareFront.
  uint64_t front_bytes() const { return waiting_.front().command.size(); }
  // Binds the front proposal to `term`. REQUIRES: PrepareFront.
  HandedOut BindFront(Term term);
  // The sequence that the next BindFront gives.
  uint64_t next_sequence() const { return next_sequence_; }
  // What was bound since next_sequence() was `first_sequence` did not leave after all: it waits
  // again, in front.
  void ReturnFrom(uint64_t first_sequence);
  // An entry of `term` was applied, and the outcomes up to it were told: what is bound to earlier
  // terms waits again.
  void ReturnBefore(Term term);
  // The effects of entries up to one of `term` came without their outcomes: what is bound to that
  // term or to an earlier one may be among them, and is answered kOutcomeUnknown.
  void OnOutcomesSkipped(Term term);

  // What is bound since the last ForgetUnderWay: whoever leads has it before them, or will have.
  uint64_t under_way() const { return under_way_; }
  uint64_t under_way_bytes() const { return under_way_bytes_; }
  // What was bound so far burdens nobody any more, whatever becomes of it.
  void ForgetUnderWay();

  bool Contains(uint64_t sequence) const { return bound_.contains(sequence); }
  // Ignored unless bound under this sequence.
  void OnApplied(uint64_t sequence, std::string outcome);
  // The leader certainly did not append it: it waits again, or is answered kOverloaded.
  // Returns the term that it was bound to; nullopt, changing nothing, when nothing is bound
  // under this sequence.
  std::optional<Term> OnRefused(uint64_t sequence, RefusalReason reason);

  // Answers those that waited for a leader, or for their deadline, long enough. Cheap when nothing
  // can be due.
  void Expire(MonotonicNanos now, const LeaderWatch& watch);
  // Answers all.
  void Shutdown();

  // CHECKs that all that could be told or handed on by now was, when the last applied entry is of
  // `applied_term`.
  void CheckInvariants(Term applied_term) const;

  bool has_waiting() const { return !waiting_.empty(); }
  uint64_t size() const { return waiting_.size() + bound_.size(); }
  bool has_answers() const { return !answers_.empty(); }
  std::vector<Answer> TakeAnswers();

 private:
  struct Pending {
    std::string command;
    MonotonicNanos asked_at;
    MonotonicNanos deadline;
    ProposalCallback done;
    Term bound_to;  // 0 while waiting.
  };
  using Bound = std::map<uint64_t, Pending>;

  // A proposal is about to leave bound_.
  void OnUnbound(const Bound::value_type& bound);
  // Answers `pending`, which its owner drops.
  void Finish(Pending* pending, ProposalResult result, std::string outcome = std::string());
  // Moves [first, last) back to the front of the queue, in order.
  void Return(Bound::iterator first, Bound::iterator last);
  void ExpireWaiting(MonotonicNanos now, const LeaderWatch& watch);
  void ExpireBound(MonotonicNanos now, const LeaderWatch& watch);

  // Constant after construction.
  ProposalBudget& budget_;
  const MonotonicNanos leader_wait_;

  // In the order in which they will be handed out.
  std::deque<Pending> waiting_;
  // By sequence; ordered, because terms never decrease along it and runs must be reproducible.
  Bound bound_;
  uint64_t next_sequence_;
  // Of what is bound under this sequence or a later one: how many, and their bytes.
  uint64_t under_way_from_ = 0;
  uint64_t under_way_ = 0;
  uint64_t under_way_bytes_ = 0;
  // No proposal is due before this.
  MonotonicNanos next_due_ = 0;
  std::vector<Answer> answers_;
};

}  // namespace raftkv::raft
