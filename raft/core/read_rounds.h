// ReadRounds are a leader's heartbeat rounds and the linearizable reads that they confirm: thesis
// §6.4.
//
// Rounds have growing numbers. A reply to round r proves that its sender still followed this leader
// after r began; so a read that came before r began is confirmed by a quorum of replies to r or to
// any later round, and by no earlier one. That also makes every heartbeat a retry, with a number of
// its own, for the reads whose round got lost.
#pragma once

#include <deque>
#include <vector>

#include "raft/core/output.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// Confined to one thread.
class ReadRounds {
 public:
  // A read that waits for the next round.
  void Add(ReadId id) { waiting_.push_back(id); }
  // Whether reads wait and no round confirms others: one round at a time confirms reads, and serves
  // all that came before it.
  bool WantsRound() const { return !waiting_.empty() && confirming_.empty(); }
  // Begins a round and returns its number. Reads that wait take part, unless the leader does not
  // know yet what is committed (`commit_known`, thesis §6.4 step 1); `commit_index` is theirs.
  RoundId Begin(bool commit_known, LogIndex commit_index);
  // A quorum has answered `round` or a later one: appends the reads that this confirms.
  void Confirm(RoundId round, std::vector<ReadOutcome>* out);
  // Nobody can confirm them any more: whoever leads next may already have committed more, so no
  // read may be answered on this term's word.
  void Abort(std::vector<ReadOutcome>* out);

  // Whether a quorum's answers are waited for, and those of which round at least.
  bool confirms() const { return !confirming_.empty(); }
  RoundId awaited_round() const { return confirming_.front().round; }
  // The last that was begun; 0 before the first.
  RoundId last_round() const { return last_round_; }

 private:
  // Reads that share one round.
  struct Batch {
    RoundId round;
    LogIndex read_index;  // The commit index when the round began.
    std::vector<ReadId> reads;
  };

  RoundId last_round_;
  std::deque<Batch> confirming_;  // Invariant: rounds grow, none is above last_round_.
  std::vector<ReadId> waiting_;
};

}  // namespace raftkv::raft
