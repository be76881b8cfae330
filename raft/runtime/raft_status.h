// What a member is at one moment, for whoever shows or decides by it: status, health, metrics.
#pragma once

#include <cstdint>
#include <vector>

#include "raft/core/raft_core.h"
#include "raft/core/types.h"

namespace raftkv::raft {

struct RaftStatus {
  NodeId self;
  RaftRole role = RaftRole::kFollower;
  Term term;
  NodeId leader;  // kNobody: none is known.
  EntryId last_entry;
  LogIndex commit_index;
  EntryId applied;
  // What of the log is in memory, in bytes.
  uint64_t log_memory_bytes = 0;
  // Requests of this member's clients that wait for their answer.
  uint64_t pending_proposals = 0;
  uint64_t pending_reads = 0;
  // Voters whose disks are nearly full, for all that this member knows; ascending.
  std::vector<NodeId> low_on_disk = {};
  // As this leader found: the newest entry after which the members' states differ and no quorum of
  // the voters has the same; 0: none.
  LogIndex disagreement = {};

  bool leads() const { return role == RaftRole::kLeader; }
  // A leader is known and an entry of its term is applied: the state has everything that was
  // committed before it.
  bool is_caught_up() const { return leader != kNobody && applied.term == term; }
};

}  // namespace raftkv::raft
