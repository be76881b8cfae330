// Everything that makes one run differ from another. A seed expands to options, which are printed,
// so that a reader of a failure sees what kind of cluster it happened in.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kv/history.h"
#include "kv/watch_hub.h"
#include "raft/core/config.h"
#include "raft/core/configuration.h"
#include "raft/runtime/raft_driver.h"
#include "raftkv/log/v1/command.pb.h"
#include "raftkv/log/v1/configuration.pb.h"
#include "tests/simulation/scheduler.h"

namespace raftkv::simulation {

enum class NetworkMode {
  // What gRPC gives: streams in order that may break, and calls that may fail.
  kStreams,
  // What the core promises to bear: each message of Raft by itself, lost, doubled and out of order.
  // Forwarded requests still have streams.
  kDatagrams,
};

// How streams send what is large over a link that is slow.
enum class LargeFrames {
  // As it is, so that everything later waits behind it.
  kWhole,
  // In parts, few of them under way; what is urgent goes between.
  kParts,
};

struct SimOptions {
  uint64_t seed = 1;
  uint64_t nodes = 3;
  uint64_t founders = 3;  // Of the nodes, the first ones; the others can only be added.
  bool changes_members = false;
  // Of node i + 1, as it has published it; none: all have the default.
  std::vector<uint64_t> priorities;

  // Protocol. A tick is 10 ms of a node's clock.
  uint64_t heartbeat_ticks = 2;
  uint64_t election_timeout_ticks = 10;
  uint64_t append_bytes_max = 0;
  uint64_t inflight_appends_max = 0;
  uint64_t inflight_bytes_max = 0;
  uint64_t log_memory_bytes_max = 0;
  uint64_t uncommitted_bytes_max = 0;
  raft::DriverOptions driver;

  // Clocks: each runs at a rate of 1 +- at most this.
  int64_t drift_ppm_max = 0;

  // Network.
  NetworkMode network_mode = NetworkMode::kStreams;
  bool wire_bytes = false;  // Frames travel as bytes, through raft/wire.
  SimTime delay_min = 0;
  SimTime delay_max = 0;
  bool slow_links = false;  // Whether links may be slow for a while.
  LargeFrames large_frames = LargeFrames::kWhole;
  uint64_t part_bytes = 0;          // Of a larger frame.
  uint64_t late_permille = 0;       // Messages that take ten times as long.
  uint64_t lost_permille = 0;       // Votes; with kDatagrams every message.
  uint64_t doubled_permille = 0;    // kDatagrams only.
  uint64_t forward_frames_max = 0;  // Under way on one stream of forwarded requests.
  SimTime silence_limit = 0;        // A connection that is cut for so long breaks.

  // Disks.
  SimTime sync_min = 0;
  SimTime sync_max = 0;
  uint64_t wal_file_records_max = 0;  // Then the next WAL file begins.
  uint64_t apply_stall_permille = 0;  // Applied runs that have to wait for the disk.
  uint64_t due_keys_max = 0;          // Keys that one scan for expired ones finds.
  bool full_disks = false;            // Whether they are nearly full for a while.

  // Snapshots. Who offers or takes one gives up after a while without a sign of the other.
  uint64_t snapshot_chunk_rows = 1;
  uint64_t snapshot_fail_permille = 0;  // Chunks that cannot be read or staged.
  uint64_t snapshot_echo_permille = 0;  // Those that are offered again, late.
  bool absences = false;                // Whether members are away for long.
  bool bends = false;                   // Whether a member's state may become wrong.

  // How much of the history is kept.
  kv::HistoryLimits history_limits;
  kv::WatchHub::Limits watches;

  // Clients.
  uint64_t clients = 0;
  uint64_t operations = 0;
  uint64_t keys = 0;
  char value_filler = '.';  // Makes values longer. Nothing else depends on it.
  SimTime think_max = 0;
  MonotonicNanos timeout = 0;
  uint64_t ttl_ms_max = 0;
  uint64_t read_permille = 0;
  uint64_t ttl_permille = 0;  // Of the puts.

  // Of the writes, those with a request id, what bounds the memory of them, and how often a client
  // tries one again whose outcome it did not hear.
  uint64_t request_permille = 0;
  // Leases that clients know of; 0: they use none. At most so many are granted.
  uint64_t lease_ids = 0;
  uint64_t leases_max = 0;
  uint64_t request_keep_ms = 0;
  uint64_t request_ids_max = 0;
  uint64_t request_tries_max = 1;

  // Faults: one begins after each pause of at most this, and lasts at most that.
  SimTime fault_pause_max = 0;
  SimTime fault_length_max = 0;

  // Oracles: nothing but what tests/spec rejects ends the run.
  bool only_spec = false;

  static constexpr MonotonicNanos kTickNanos = 10 * kNanosPerMilli;
  // What clocks that run at the right rate take for an election timeout at least.
  MonotonicNanos ElectionTimeout() const {
    return static_cast<MonotonicNanos>(election_timeout_ticks) * kTickNanos;
  }
  MonotonicNanos HeartbeatInterval() const {
    return static_cast<MonotonicNanos>(heartbeat_ticks) * kTickNanos;
  }
  raft::RaftConfig CoreConfig(raft::NodeId self) const;
  uint64_t PriorityOf(raft::NodeId node) const;
  // What the log is taken to say of the members' priorities.
  std::map<uint64_t, log::v1::MemberRecord> PublishedRecords() const;
  // Those that found the cluster.
  log::v1::ClusterConfiguration Founded() const;
  raft::Configuration Members() const;

  // All of them on a few lines.
  std::string Describe() const;
};

// What the command line fixes; the rest comes from the seed.
struct OptionOverrides {
  std::optional<uint64_t> nodes;
  std::optional<uint64_t> operations;
  bool only_spec = false;
};

// Equal seeds and overrides give equal options.
SimOptions ExpandOptions(uint64_t seed, const OptionOverrides& overrides);

}  // namespace raftkv::simulation
