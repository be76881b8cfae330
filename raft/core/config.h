// What a RaftCore is told once, at construction.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "raft/core/types.h"

namespace raftkv::raft {

// How much a voter is wanted to lead: of those whose log allows it, the one with the highest
// priority, and one with 0 only where no other can (RaftCore::SetPriorities).
inline constexpr uint64_t kPriorityDefault = 100;
inline constexpr uint64_t kPriorityMax = 1000;

struct RaftConfig {
  NodeId self;
  // A leader sends heartbeats this often. At least 1.
  uint64_t heartbeat_ticks = 10;
  // A follower that hears nothing campaigns after a time drawn from [t, 2t). At least 5 heartbeats.
  uint64_t election_timeout_ticks = 100;
  // This node's own; at most kPriorityMax.
  uint64_t priority = kPriorityDefault;
  // Bytes of entries in one AppendRequest; a single larger entry is sent alone.
  uint64_t append_bytes_max = 1 << 20;
  // Per follower: AppendRequests sent and not acknowledged, and the bytes of their entries.
  uint64_t inflight_appends_max = 4;
  uint64_t inflight_bytes_max = 4 << 20;
  // Entries kept in memory; what is not durable or not applied yet stays beyond it.
  uint64_t log_memory_bytes_max = 64 << 20;
  // Entries that a leader has appended and that are not committed; beyond it Propose refuses.
  uint64_t uncommitted_bytes_max = 64 << 20;

  // InvalidArgument naming the field, its value and its bound.
  absl::Status Validate() const;
};

}  // namespace raftkv::raft
