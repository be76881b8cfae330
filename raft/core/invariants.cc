#include "raft/core/invariants.h"

#include <glog/logging.h>

#include <algorithm>

namespace raftkv::raft {
namespace {

void CheckLog(const CoreView& now) {
  CHECK_EQ(now.memory_previous.index + now.memory_entries, now.last.index) << "the log has a gap";
  CHECK_LE(now.memory_previous.term, now.last.term);
  CHECK_LE(now.last.term, now.hard_state.term) << "an entry of a future term";
  CHECK_LE(now.commit, now.last.index);
  CHECK_LE(now.durable, now.last.index);
  CHECK_LE(now.applied, now.handed_out);
  CHECK_LE(now.handed_out, now.commit);
  CHECK_LE(now.handed_out, now.durable);
  CHECK_LE(now.memory_previous.index, now.applied) << "memory must hold what is not applied";
  CHECK_LT(now.persisted, now.next_write);
}

void CheckRole(const CoreView& now) {
  CHECK(!now.installing || now.role == RaftRole::kFollower)
      << "others' word for the log is awaited";
  switch (now.role) {
    case RaftRole::kFollower:
      CHECK_LE(now.commit, now.verified) << "committed more than agrees with the leader";
      CHECK_LE(now.verified, now.last.index);
      return;
    case RaftRole::kPreCandidate:
      return;
    case RaftRole::kCandidate:
      CHECK_EQ(now.hard_state.vote, now.self);
      return;
    case RaftRole::kLeader:
      CHECK_EQ(now.hard_state.vote, now.self);
      CHECK_EQ(now.leader_of_term, now.self);
      CHECK(now.hard_state_durable) << "led on a vote that could be forgotten";
      CHECK_GE(now.last.index, now.term_start);
      CHECK_EQ(now.last.term, now.hard_state.term);
      return;
  }
}

// Thesis §3.4: a vote and a leader are chosen once per term.
void CheckTermStep(const CoreView& before, const CoreView& after) {
  CHECK_GE(after.hard_state.term, before.hard_state.term);
  if (after.hard_state.term > before.hard_state.term) {
    return;
  }
  if (before.hard_state.vote != kNobody) {
    CHECK_EQ(after.hard_state.vote, before.hard_state.vote) << "voted twice in a term";
  }
  if (before.leader_of_term != kNobody) {
    CHECK_EQ(after.leader_of_term, before.leader_of_term) << "two leaders in a term";
  }
}

void CheckCommitStep(const CoreView& before, const CoreView& after) {
  CHECK_GE(after.commit, before.commit);
  CHECK_GE(after.handed_out, before.handed_out);
  CHECK_GE(after.applied, before.applied);
  CHECK_GE(after.persisted, before.persisted);
  CHECK_GE(after.next_write, before.next_write);
  if (after.commit == before.commit) {
    return;
  }
  if (after.role == RaftRole::kLeader) {
    // Thesis §3.6.2: entries of earlier terms are never committed by counting replicas.
    CHECK_GE(after.commit, after.term_start);
    if (after.commit_term.has_value()) {
      CHECK_EQ(*after.commit_term, after.hard_state.term);
    }
  }
}

}  // namespace

void CheckState(const CoreView& now) {
  CheckLog(now);
  CheckRole(now);
}

void CheckStep(const CoreView& before, const CoreView& after) {
  CHECK_EQ(after.self, before.self);
  CheckTermStep(before, after);
  CheckCommitStep(before, after);
  if (before.role == RaftRole::kLeader && after.role == RaftRole::kLeader) {
    // Thesis §3.3: a leader only appends to its log.
    CHECK_EQ(after.hard_state.term, before.hard_state.term);
    CHECK_GE(after.last.index, before.last.index);
    CHECK_GE(after.durable, before.durable);
  }
  if (before.installing && after.installing) {
    CHECK(after.last == before.last) << "what stays of the log was decided";
    CHECK_EQ(after.commit, before.commit);
    CHECK_EQ(after.handed_out, before.handed_out);
  }
  // An entry that is gone must not have been committed.
  CHECK_GE(after.last.index, before.commit);
}

}  // namespace raftkv::raft
