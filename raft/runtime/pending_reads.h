// The linearizable reads of this member's clients, from Read to their answer.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "raft/core/types.h"
#include "raft/runtime/leader_watch.h"
#include "raft/runtime/requests.h"

namespace raftkv::raft {

// A read waits for a leader; then it is asked for, together with all that waited with it, as one
// group under one ReadId; then it waits until the group's read index is applied. Reads change
// nothing, so a group whose answer may not come is asked for again, under a fresh id.
//
// Answers are collected and handed over by TakeAnswers, so no callback runs inside any call.
// Confined to the loop's thread.
class PendingReads {
 public:
  struct Answer {
    ReadCallback done;
    ReadResult result;
  };

  PendingReads(uint64_t reads_max, MonotonicNanos leader_wait, MonotonicNanos retry_after)
      : reads_max_(reads_max), leader_wait_(leader_wait), retry_after_(retry_after) {}

  // Lets a read wait, or answers kOverloaded.
  void Add(MonotonicNanos deadline, MonotonicNanos now, ReadCallback done);

  // Makes one group, called `id`, of all that wait; it is asked for in `term`, here or
  // (`forwarded`) at the leader. REQUIRES: has_waiting(), `id` is new.
  void AskFor(ReadId id, Term term, bool forwarded, MonotonicNanos now);
  // The group may be served once `read_index` is applied. Ignored when there is no such group.
  void OnConfirmed(ReadId id, LogIndex read_index);
  // The group must be asked for again: its reads wait, in front. Returns the term that it was asked
  // for in; nullopt when there is no such group.
  std::optional<Term> OnRefused(ReadId id);
  // The same for all forwarded groups: their leader is another now, or its answers are lost.
  void ReturnForwarded();
  // The same for the forwarded groups that have had no answer for too long.
  void ReturnOverdue(MonotonicNanos now);

  // Answers the reads whose read index is applied.
  void OnApplied(LogIndex applied);
  // Answers those that waited for a leader, or for their deadline, long enough. Cheap when nothing
  // can be due.
  void Expire(MonotonicNanos now, const LeaderWatch& watch);
  // Answers all.
  void Shutdown();

  // CHECKs that every read that could be answered by now was.
  void CheckInvariants(LogIndex applied) const;

  bool has_waiting() const { return !waiting_.empty(); }
  uint64_t size() const { return size_; }
  bool has_answers() const { return !answers_.empty(); }
  std::vector<Answer> TakeAnswers();

 private:
  struct Read {
    MonotonicNanos asked_at;
    MonotonicNanos deadline;
    ReadCallback done;
  };
  struct Group {
    Term term;
    bool forwarded = false;
    MonotonicNanos asked_at = 0;
    std::vector<Read> reads;
  };

  // Answers `read`, which its owner drops.
  void Finish(Read* read, ReadResult result);
  void FinishAll(std::vector<Read>* reads, ReadResult result);
  void FinishDue(std::vector<Read>* reads, ReadResult at_deadline, MonotonicNanos now,
                 std::optional<MonotonicNanos> nowhere_since);
  void Return(std::vector<Read> reads);

  // Constant after construction.
  const uint64_t reads_max_;
  const MonotonicNanos leader_wait_;
  const MonotonicNanos retry_after_;

  std::vector<Read> waiting_;
  std::map<ReadId, Group> groups_;
  std::map<LogIndex, std::vector<Read>> confirmed_;
  // Invariant: the number of reads in the three above.
  uint64_t size_ = 0;
  // No read is due before this.
  MonotonicNanos next_due_ = 0;
  std::vector<Answer> answers_;
};

}  // namespace raftkv::raft
