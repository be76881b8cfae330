// What a member says of itself, and what of that other answers hold as well (types.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace raftkv {

// Who answered, from which state.
struct ResponseHeader {
  uint64_t cluster_id = 0;
  uint64_t member_id = 0;
  uint64_t leader_id = 0;  // 0: the member knows no leader
  uint64_t raft_term = 0;
  int64_t revision = 0;  // a write's own; for a read, the revision that it was answered from
  // Of a read that did not ask the leader: it reflects every write that was acknowledged longer
  // than this before it began.
  std::optional<absl::Duration> staleness = std::nullopt;
};

enum class MemberRole { kUnspecified, kVoter, kLearner };
enum class RaftState { kUnspecified, kFollower, kPreCandidate, kCandidate, kLeader };

// What a member holds in memory, in bytes; raftkv/v1/cluster.proto says of what.
struct MemoryUse {
  int64_t planned_bytes = 0;
  int64_t resident_bytes = 0;
  int64_t cached_block_bytes = 0;
  int64_t write_buffer_bytes = 0;
  int64_t log_bytes = 0;
  int64_t unsent_answer_bytes = 0;
};

// How often something was done lately, and how long it took.
struct Latency {
  int64_t count = 0;
  absl::Duration p50 = {};  // 0 when there was none
  absl::Duration p99 = {};
};

// What a member was asked in the last seconds.
struct RequestStats {
  absl::Duration window = {};  // how long these are; 0 right after a start, or from an older server
  Latency reads = {};
  Latency writes = {};
  Latency failed = {};
  Latency syncs = {};  // of the log's disk
};

// What a member knows of another one.
struct PeerStatus {
  uint64_t id = 0;
  bool reachable = false;
  absl::Duration unreachable_for = {};
  uint64_t match_index = 0;  // 0: not known; only a leader knows
};

// One watch of a member.
struct WatcherStatus {
  std::string client = {};
  std::string first_key = {};  // where the first of its ranges begins
  bool is_prefix = false;      // that range is all keys that begin so
  int ranges = 0;
  int64_t progress_revision = 0;
  int64_t behind = 0;  // revisions that the member has applied since
  absl::Duration age = {};
};

struct WatchStatus {
  int64_t count = 0;
  std::vector<WatcherStatus> slowest = {};  // the furthest behind first; not all
};

// One member's own state.
struct MemberStatus {
  ResponseHeader header = {};
  std::string version = {};
  std::string name = {};
  RaftState raft_state = RaftState::kUnspecified;
  MemberRole role = MemberRole::kUnspecified;
  uint64_t last_index = 0;
  uint64_t commit_index = 0;
  uint64_t applied_index = 0;
  int64_t key_count = 0;
  int64_t disk_bytes = 0;
  MemoryUse memory = {};
  absl::Duration uptime = {};
  std::vector<std::string> warnings = {};
  RequestStats requests = {};
  std::vector<PeerStatus> peers = {};
  WatchStatus watches = {};
};

}  // namespace raftkv
