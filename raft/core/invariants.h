// What must hold of a node at any time, and between any two moments of its life.
// Checked after every input, in every build; a violation ends the process,
// since going on could only spread the damage.
#pragma once

#include <cstdint>
#include <optional>

#include "raft/core/output.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// The quantities that the invariants speak of, copied out of a RaftCore; of constant size.
struct CoreView {
  NodeId self;
  RaftRole role = RaftRole::kFollower;
  HardState hard_state;
  bool hard_state_durable = true;
  NodeId leader_of_term = kNobody;  // Who leads or led the term, as far as this node knows.
  EntryId memory_previous;
  uint64_t memory_entries = 0;
  EntryId last;
  LogIndex commit;
  std::optional<Term> commit_term;  // Nothing when no longer in memory.
  LogIndex handed_out;
  LogIndex applied;
  LogIndex durable;
  LogIndex verified;    // Followers only.
  LogIndex term_start;  // Leaders only.
  WriteId persisted;
  WriteId next_write;
  uint64_t open_loads = 0;  // That the caller has not answered.
  bool installing = false;  // A snapshot.
};

// CHECKs what holds at any time.
void CheckState(const CoreView& now);
// CHECKs what holds between the moments before and after one input.
void CheckStep(const CoreView& before, const CoreView& after);

}  // namespace raftkv::raft
