#include "raft/runtime/pending_proposals.h"

#include <glog/logging.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/deadline.h"

namespace raftkv::raft {
namespace {

// The moment at which something that began at `since` has lasted for `wait`; never, when it has not
// begun.
MonotonicNanos EndOfWait(std::optional<MonotonicNanos> since, MonotonicNanos asked_at,
                         MonotonicNanos wait) {
  return since.has_value() ? DeadlineAfter(std::max(*since, asked_at), wait) : kNever;
}

// Of a proposal that still waits: with a leader there, it was only its queue that was too slow.
ProposalResult ResultAtDeadline(const LeaderWatch& watch) {
  return watch.nowhere_since().has_value() ? ProposalResult::kNoLeader
                                           : ProposalResult::kOverloaded;
}

}  // namespace

bool ProposalBudget::TryTake(uint64_t bytes) {
  if (proposals_ >= proposals_max_ || bytes > bytes_max_ - bytes_) {
    return false;
  }
  ++proposals_;
  bytes_ += bytes;
  return true;
}

void ProposalBudget::GiveBack(uint64_t bytes) {
  CHECK_GT(proposals_, 0u);
  CHECK_LE(bytes, bytes_);
  --proposals_;
  bytes_ -= bytes;
}

void PendingProposals::Add(std::string command, MonotonicNanos deadline, MonotonicNanos now,
                           ProposalCallback done) {
  CHECK(done != nullptr);
  if (!budget_.TryTake(command.size())) {
    answers_.push_back({std::move(done), ProposalResult::kOverloaded, std::string()});
    return;
  }
  waiting_.push_back({.command = std::move(command),
                      .asked_at = now,
                      .deadline = deadline,
                      .done = std::move(done),
                      .bound_to = Term(0)});
  next_due_ = std::min(next_due_, deadline);
}

bool PendingProposals::PrepareFront(MonotonicNanos now, const LeaderWatch& watch) {
  while (!waiting_.empty() && waiting_.front().deadline <= now) {
    Finish(&waiting_.front(), ResultAtDeadline(watch));
    waiting_.pop_front();
  }
  return !waiting_.empty();
}

PendingProposals::HandedOut PendingProposals::BindFront(Term term) {
  CHECK(!waiting_.empty());
  CHECK(bound_.empty() || bound_.rbegin()->second.bound_to <= term);
  const Bound::iterator bound =
      bound_.emplace_hint(bound_.end(), next_sequence_, std::move(waiting_.front()));
  waiting_.pop_front();
  ++next_sequence_;
  bound->second.bound_to = term;
  ++under_way_;
  under_way_bytes_ += bound->second.command.size();
  return {.sequence = bound->first, .command = bound->second.command};
}

void PendingProposals::ReturnFrom(uint64_t first_sequence) {
  Return(bound_.lower_bound(first_sequence), bound_.end());
}

void PendingProposals::ReturnBefore(Term term) {
  const Bound::iterator end = std::find_if(
      bound_.begin(), bound_.end(), [&](const auto& item) { return item.second.bound_to >= term; });
  Return(bound_.begin(), end);
}

void PendingProposals::OnOutcomesSkipped(Term term) {
  while (!bound_.empty() && bound_.begin()->second.bound_to <= term) {
    OnUnbound(*bound_.begin());
    Finish(&bound_.begin()->second, ProposalResult::kOutcomeUnknown);
    bound_.erase(bound_.begin());
  }
}

void PendingProposals::ForgetUnderWay() {
  under_way_from_ = next_sequence_;
  under_way_ = 0;
  under_way_bytes_ = 0;
}

void PendingProposals::OnUnbound(const Bound::value_type& bound) {
  if (bound.first >= under_way_from_) {
    CHECK_GT(under_way_, 0u);
    --under_way_;
    under_way_bytes_ -= bound.second.command.size();
  }
}

void PendingProposals::OnApplied(uint64_t sequence, std::string outcome) {
  const Bound::iterator bound = bound_.find(sequence);
  if (bound == bound_.end()) {
    return;
  }
  OnUnbound(*bound);
  Finish(&bound->second, ProposalResult::kApplied, std::move(outcome));
  bound_.erase(bound);
}

std::optional<Term> PendingProposals::OnRefused(uint64_t sequence, RefusalReason reason) {
  const Bound::iterator bound = bound_.find(sequence);
  if (bound == bound_.end()) {
    return std::nullopt;
  }
  const Term term = bound->second.bound_to;
  switch (reason) {
    case RefusalReason::kNotLeader:
      Return(bound, std::next(bound));
      break;
    case RefusalReason::kOverloaded:
      OnUnbound(*bound);
      Finish(&bound->second, ProposalResult::kOverloaded);
      bound_.erase(bound);
      break;
  }
  return term;
}

void PendingProposals::Expire(MonotonicNanos now, const LeaderWatch& watch) {
  // Without a leader the end of a wait moves as proposals come, so every look is a full one; with
  // one, only deadlines matter.
  if (now < next_due_ && !watch.nowhere_since().has_value()) {
    return;
  }
  next_due_ = kNever;
  ExpireWaiting(now, watch);
  ExpireBound(now, watch);
}

void PendingProposals::Shutdown() {
  for (Pending& pending : waiting_) {
    Finish(&pending, ProposalResult::kShuttingDown);
  }
  waiting_.clear();
  for (auto& [sequence, pending] : bound_) {
    Finish(&pending, ProposalResult::kOutcomeUnknown);
  }
  bound_.clear();
  ForgetUnderWay();
}

std::vector<PendingProposals::Answer> PendingProposals::TakeAnswers() {
  return std::exchange(answers_, {});
}

void PendingProposals::CheckInvariants(Term applied_term) const {
  for (const Pending& pending : waiting_) {
    CHECK_EQ(pending.bound_to, Term(0));
    CHECK_LE(next_due_, pending.deadline) << "nobody looks when its time is over";
  }
  Term bound_before = applied_term;
  uint64_t under_way = 0;
  uint64_t under_way_bytes = 0;
  for (const auto& [sequence, pending] : bound_) {
    CHECK_GE(pending.bound_to, bound_before)
        << "proposal " << sequence << " waits for a term that is over";
    CHECK_LE(next_due_, pending.deadline) << "nobody looks when its time is over";
    bound_before = pending.bound_to;
    under_way += sequence >= under_way_from_ ? 1 : 0;
    under_way_bytes += sequence >= under_way_from_ ? pending.command.size() : 0;
  }
  CHECK_EQ(under_way_, under_way);
  CHECK_EQ(under_way_bytes_, under_way_bytes);
}

void PendingProposals::Finish(Pending* pending, ProposalResult result, std::string outcome) {
  budget_.GiveBack(pending->command.size());
  answers_.push_back({std::exchange(pending->done, nullptr), result, std::move(outcome)});
}

void PendingProposals::Return(Bound::iterator first, Bound::iterator last) {
  for (Bound::iterator bound = last; bound != first;) {
    --bound;
    OnUnbound(*bound);
    waiting_.push_front(std::move(bound->second));
    waiting_.front().bound_to = Term(0);
  }
  bound_.erase(first, last);
}

void PendingProposals::ExpireWaiting(MonotonicNanos now, const LeaderWatch& watch) {
  for (Pending& pending : waiting_) {
    if (EndOfWait(watch.nowhere_since(), pending.asked_at, leader_wait_) <= now) {
      Finish(&pending, ProposalResult::kNoLeader);
    } else if (pending.deadline <= now) {
      Finish(&pending, ResultAtDeadline(watch));
    } else {
      next_due_ = std::min(next_due_, pending.deadline);
    }
  }
  // A finished proposal has given its callback away.
  std::erase_if(waiting_, [](const Pending& pending) { return pending.done == nullptr; });
}

void PendingProposals::ExpireBound(MonotonicNanos now, const LeaderWatch& watch) {
  for (Bound::iterator bound = bound_.begin(); bound != bound_.end();) {
    Pending& pending = bound->second;
    // A leader that requests do not reach may still bring this one's fate, through the log; no
    // leader will not.
    const MonotonicNanos due = std::min(
        pending.deadline, EndOfWait(watch.leaderless_since(), pending.asked_at, leader_wait_));
    if (due > now) {
      next_due_ = std::min(next_due_, pending.deadline);
      ++bound;
      continue;
    }
    OnUnbound(*bound);
    Finish(&pending, ProposalResult::kOutcomeUnknown);
    bound = bound_.erase(bound);
  }
}

}  // namespace raftkv::raft
