// What a node keeps only while it is in a role; leaving the role forgets it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <variant>

#include "raft/core/progress.h"
#include "raft/core/read_rounds.h"
#include "raft/core/types.h"

namespace raftkv::raft {

struct TickTimer {
  uint64_t elapsed_ticks = 0;
  uint64_t limit_ticks = 0;

  bool expired() const { return elapsed_ticks >= limit_ticks; }
};

struct Follower {
  NodeId leader = kNobody;  // Of the current term, when known and not given up.
  uint64_t ticks_since_leader = 0;
  // The leader's connection broke and it takes no new one; until it is heard again.
  bool leader_unreachable = false;
  TickTimer election;
  // The log up to here agrees with the leader's. Invariant: commit index <= verified <= last index.
  LogIndex verified;
  // The last AppendAccepted that left said this.
  LogIndex acknowledged;
  // The leader waits for an AppendAccepted.
  bool acknowledgement_due = false;
  // What the leader told last (Heartbeat::held_by_all); 0 before that.
  LogIndex held_by_all = LogIndex(0);
};

// Asks whether a candidacy would be of use (thesis §9.6); changes neither term nor vote.
struct PreCandidate {
  std::map<NodeId, bool> votes;
  TickTimer retry;
};

struct Candidate {
  std::map<NodeId, bool> votes;  // The own one comes in when it is durable.
  TickTimer retry;
};

// A leader that hands over (thesis §3.10) appends nothing meanwhile.
struct Handover {
  NodeId target;
  uint64_t ticks = 0;
  bool asked = false;  // To stand, since the last heartbeat.
};

struct Leader {
  LogIndex term_start;  // Its no-op; entries from here on are of its own term.
  std::map<NodeId, FollowerProgress> followers;  // Every other member of the configuration.
  uint64_t ticks_since_heartbeat = 0;
  uint64_t uncommitted_bytes = 0;
  bool commit_index_wanted = false;  // SendCommitIndex was called since the last output.
  ReadRounds rounds;
  std::optional<Handover> handover;

  // Null when `peer` is no other member.
  FollowerProgress* Find(NodeId peer) {
    const auto found = followers.find(peer);
    return found == followers.end() ? nullptr : &found->second;
  }
  const FollowerProgress* Find(NodeId peer) const {
    const auto found = followers.find(peer);
    return found == followers.end() ? nullptr : &found->second;
  }
};

using Role = std::variant<Follower, PreCandidate, Candidate, Leader>;

}  // namespace raftkv::raft
