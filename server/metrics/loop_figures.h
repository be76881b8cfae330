// What a scrape copies out on the loop: plain values, so that making text of them holds nobody up.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "raft/core/types.h"
#include "raft/runtime/raft_status.h"
#include "raftkv/v1/cluster.pb.h"
#include "server/loop/call_counts.h"
#include "server/metrics/raft_counts.h"
#include "server/peer/peer_figures.h"
#include "storage/database_figures.h"

namespace raftkv::server {

// As DiskUsage knows it.
struct DiskFigures {
  int64_t used_bytes = 0;
  int64_t free_bytes = 0;
  int64_t total_bytes = 0;
  int64_t reserve_bytes = 0;
  bool is_low = false;
};

// Of clients' streams of operations.
struct StreamFigures {
  uint64_t open = 0;
  uint64_t begun = 0;
  uint64_t operations = 0;
  uint64_t failed = 0;
};

// Of backups that clients asked for.
struct BackupFigures {
  uint64_t in_progress = 0;
  uint64_t begun = 0;
  uint64_t completed = 0;
  uint64_t sent_bytes = 0;
};

struct MethodFigures {
  std::string service;
  std::string method;
  CallCounts counts;
};

// What a leader knows of another member.
struct FollowerFigures {
  std::string name;
  raft::LogIndex match_index;
  bool is_heard = false;
};

struct LoopFigures {
  // How long the scrape waited for its turn, and what the loop's thread has used.
  MonotonicNanos waited = 0;
  MonotonicNanos loop_cpu = 0;

  std::string name;
  uint64_t member_id = 0;
  uint64_t cluster_id = 0;  // 0: not founded yet.
  uint64_t warnings = 0;
  double certificates_end = 0;  // Unix time of the first in use that ends.

  raft::RaftStatus raft;
  raft::LogIndex first_index;
  RaftCounts::Counts raft_counts;
  std::vector<FollowerFigures> followers = {};  // Empty unless this member leads.
  PeerWingFigures peers;

  int64_t keys = 0;
  int64_t expired_keys = 0;
  uint64_t leases = 0;
  int64_t expired_leases = 0;
  int64_t revision = 0;
  // The history ends there, and who watches what comes after.
  int64_t compacted_revision = 0;
  uint64_t history_bytes = 0;
  uint64_t watches = 0;
  int64_t slowest_watch_lag = 0;
  uint32_t cluster_version = 0;

  std::vector<MethodFigures> methods = {};
  uint64_t calls_in_flight = 0;

  BackupFigures backups;
  StreamFigures streams;

  v1::MemoryUse memory;
  DiskFigures disk;
  // For another thread.
  std::function<storage::DatabaseFigures()> look_at_database;
};

}  // namespace raftkv::server
