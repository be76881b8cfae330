// What nodes say to each other, as plain values; raft/wire turns them into protobuf and back.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "raft/core/types.h"

namespace raftkv::raft {

// Asks for a vote (thesis §3.4), or with `pre_vote` whether one would be granted (thesis §9.6). The
// envelope's term is the term of the election; of a PreVote the term that the sender would start.
struct VoteRequest {
  bool pre_vote = false;
  EntryId last_entry;
  // The leader asked the sender to stand (TimeoutNow), so that it stands in nobody's way (thesis
  // §4.2.3). Never of a PreVote.
  bool transfer = false;
};

// The envelope's term is the sender's own; of a granted PreVote the term asked about.
struct VoteReply {
  bool pre_vote = false;
  bool granted = false;
};

// Entries that follow `previous`; without entries it only asks whether the logs agree
// there (thesis §3.5).
struct AppendRequest {
  EntryId previous;
  std::vector<Entry> entries;
  LogIndex commit_index;
};

// Everything up to `match_index` agrees with the leader's log and is durable at the sender.
struct AppendAccepted {
  LogIndex match_index;
};

// The sender's log does not hold `previous`; the logs may agree at `hint`, not after it.
struct AppendRejected {
  LogIndex rejected_index;
  EntryId hint;
};

// What a leader tells each member beside the log. The core carries it and asks nothing of it; it is
// RaftDriver's.
struct ClusterNews {
  // Voters whose disks are nearly full, as they said themselves; ascending.
  std::vector<NodeId> low_on_disk;
  // The leader asks for the hash of the addressee's state after this entry; 0: it does not.
  LogIndex audited = LogIndex(0);
  // After this entry the state of most voters has this hash, and what the addressee answered was
  // another; 0: nothing of the kind is known.
  LogIndex differs_at = LogIndex(0);
  uint64_t right_hash = 0;

  friend bool operator==(const ClusterNews&, const ClusterNews&) = default;
};

// What a member tells its leader about itself; RaftDriver's as well.
struct MemberNews {
  bool low_on_disk = false;
  // The member's state after the entry `audited` has this hash (StateMachine::StateHash); 0: it
  // was not asked, or does not know.
  LogIndex audited = LogIndex(0);
  uint64_t state_hash = 0;

  friend bool operator==(const MemberNews&, const MemberNews&) = default;
};

// A sign of life, and of read rounds (thesis §6.4). The commit index is no higher than what the
// addressee is known to hold, so it is safe to take as it is.
struct Heartbeat {
  LogIndex commit_index;
  RoundId round;  // 0: no reply is wanted.
  // Every member of the leader's configuration, the leader among them, is known to hold the log up
  // to here durably; 0: nothing is known. Says what a log may forget, and nothing of commitment.
  LogIndex held_by_all = LogIndex(0);
  ClusterNews news = {};
};

struct HeartbeatReply {
  RoundId round;
  MemberNews news = {};
};

// The leader, which has handed the addressee all of its log, asks it to stand for election at once
// (thesis §3.10).
struct TimeoutNow {};

using Message = std::variant<VoteRequest, VoteReply, AppendRequest, AppendAccepted, AppendRejected,
                             Heartbeat, HeartbeatReply, TimeoutNow>;

// What only a leader says.
inline bool IsFromLeader(const Message& message) {
  return std::holds_alternative<AppendRequest>(message) ||
         std::holds_alternative<Heartbeat>(message) || std::holds_alternative<TimeoutNow>(message);
}
// What only answers another message.
inline bool IsReply(const Message& message) {
  return !IsFromLeader(message) && !std::holds_alternative<VoteRequest>(message);
}

// A message under way. The network may lose, duplicate, delay and reorder envelopes, but not alter
// them.
struct Envelope {
  NodeId from;
  NodeId to;
  Term term;
  Message message;
};

}  // namespace raftkv::raft
