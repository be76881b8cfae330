#include "tests/simulation/options.h"

#include <glog/logging.h>

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "kv/member_list.h"
#include "tests/simulation/dice.h"

namespace raftkv::simulation {
namespace {

constexpr uint64_t kOperationsDefault = 400;
// The faulty part of a run should see so many election timeouts go by.
constexpr int64_t kPhaseElectionTimeouts = 90;

std::string Millis(int64_t nanos) { return absl::StrCat(nanos / 1000 / 1000.0, "ms"); }

void DrawProtocol(Dice* dice, SimOptions* options) {
  options->election_timeout_ticks = dice->Pick<uint64_t>({10, 10, 12, 15, 20, 30, 50});
  options->heartbeat_ticks = 1 + dice->Below(options->election_timeout_ticks / 5);
  // Small limits, so that a short run meets them; sometimes production's.
  if (dice->Chance(150)) {
    const raft::RaftConfig production;
    options->append_bytes_max = production.append_bytes_max;
    options->inflight_appends_max = production.inflight_appends_max;
    options->inflight_bytes_max = production.inflight_bytes_max;
    options->log_memory_bytes_max = production.log_memory_bytes_max;
    options->uncommitted_bytes_max = production.uncommitted_bytes_max;
  } else {
    options->append_bytes_max = 100 + dice->Below(2000);
    options->inflight_appends_max = 1 + dice->Below(5);
    options->inflight_bytes_max = options->append_bytes_max * (1 + dice->Below(4));
    options->log_memory_bytes_max = options->append_bytes_max + dice->Below(8000);
    options->uncommitted_bytes_max = options->append_bytes_max + dice->Below(4000);
  }
  raft::DriverOptions& driver = options->driver;
  driver.leader_wait = 3 * options->ElectionTimeout();
  driver.read_retry_after = options->ElectionTimeout();
  if (!dice->Chance(150)) {
    driver.uncommitted_entries_max = 1 + dice->Below(4);
    driver.entry_commands_max = 1 + dice->Below(8);
    driver.entry_bytes_max = 100 + dice->Below(1000);
    driver.apply_bytes_max = 1 + dice->Below(2000);
    driver.proposals_max = 3 + dice->Below(20);
    driver.proposal_bytes_max = 400 + dice->Below(4000);
    driver.reads_max = 2 + dice->Below(10);
  }
}

void DrawEnvironment(Dice* dice, SimOptions* options) {
  const SimTime timeout = options->ElectionTimeout();
  options->drift_ppm_max = dice->Pick<int64_t>({0, 100, 1000, 20'000, 200'000});
  options->network_mode = dice->Chance(350) ? NetworkMode::kDatagrams : NetworkMode::kStreams;
  options->wire_bytes = dice->Chance(250);
  options->delay_min = dice->Between(20'000, timeout / 100);
  options->delay_max = options->delay_min + dice->Between(10'000, timeout / 20);
  options->late_permille = dice->Pick<uint64_t>({0, 0, 5, 30});
  options->lost_permille = dice->Pick<uint64_t>({0, 10, 50, 200});
  options->doubled_permille = dice->Pick<uint64_t>({0, 20, 100, 300});
  options->silence_limit = timeout / 2 + dice->Between(0, 4 * timeout);
  options->sync_min = dice->Between(10'000, timeout / 200);
  options->sync_max = options->sync_min + dice->Between(10'000, timeout / 20);
  options->wal_file_records_max = 2 + dice->Below(30);
  options->apply_stall_permille = dice->Pick<uint64_t>({0, 10, 100, 300});
  options->due_keys_max = 1 + dice->Below(10);
}

void DrawForwarding(Dice* dice, SimOptions* options) {
  options->forward_frames_max = 1 + dice->Below(8);
  if (!dice->Chance(150)) {
    options->driver.uncommitted_large_entries_max = 1 + dice->Below(4);
    options->driver.forwarded_max = 1 + dice->Below(10);
    options->driver.forwarded_bytes_max = 1 + dice->Below(2000);
  }
}

void DrawClients(Dice* dice, SimOptions* options) {
  const SimTime timeout = options->ElectionTimeout();
  options->clients = 3 + dice->Below(8);
  options->operations = kOperationsDefault;
  options->keys = 2 + dice->Below(8);
  options->think_max = 2 * kPhaseElectionTimeouts * timeout *
                       static_cast<int64_t>(options->clients) /
                       static_cast<int64_t>(options->operations);
  options->timeout = dice->Between(timeout, 8 * timeout);
  options->ttl_ms_max = 1 + dice->Below(static_cast<uint64_t>(10 * timeout / kNanosPerMilli));
  options->read_permille = 200 + dice->Below(500);
  options->ttl_permille = dice->Pick<uint64_t>({50, 300, 600});
}

void DrawFaults(Dice* dice, SimOptions* options) {
  const SimTime timeout = options->ElectionTimeout();
  options->fault_pause_max = timeout * dice->Pick<int64_t>({2, 4, 8, 16});
  options->fault_length_max = timeout * dice->Pick<int64_t>({1, 3, 6, 10});
}

// With dice of its own: what was drawn before there were slow links is drawn as ever.
void DrawSlowLinks(uint64_t seed, SimOptions* options) {
  Dice dice(seed, "slow links");
  options->slow_links = dice.Chance(300);
  options->large_frames = dice.Chance(700) ? LargeFrames::kParts : LargeFrames::kWhole;
  options->part_bytes = 60 + dice.Below(200);
}

// With dice of its own.
void DrawFullDisks(uint64_t seed, SimOptions* options) {
  Dice dice(seed, "full disks");
  options->full_disks = dice.Chance(250);
}

// With dice of its own. A trim is thought of once a second, so that what is kept must be little.
void DrawSnapshots(uint64_t seed, SimOptions* options) {
  Dice dice(seed, "snapshots");
  const SimTime timeout = options->ElectionTimeout();
  raft::DriverOptions& driver = options->driver;
  driver.snapshots_max = 1 + dice.Below(3);
  driver.snapshot_retry_after = dice.Between(timeout / 10, 2 * timeout);
  if (!dice.Chance(150)) {
    // Of one entry to some 200.
    driver.log_bytes_max = uint64_t{100} << dice.Below(8);
    driver.log_bytes_max += dice.Below(driver.log_bytes_max);
    driver.log_entries_kept = 1 + dice.Below(60);
  }
  if (dice.Chance(300)) {
    // Hardly anything is in memory: what a follower lacks is looked for on the disk.
    options->append_bytes_max = std::min(options->append_bytes_max, 100 + dice.Below(200));
    options->log_memory_bytes_max = options->append_bytes_max;
    driver.log_bytes_max = 100 + dice.Below(200);
    driver.log_entries_kept = 1 + dice.Below(4);
  }
  options->snapshot_chunk_rows = 1 + dice.Below(4);
  options->snapshot_fail_permille = dice.Pick<uint64_t>({0, 0, 10, 100});
  options->snapshot_echo_permille = dice.Pick<uint64_t>({0, 100, 500});
  options->absences = dice.Chance(600);
}

// With dice of its own. Where ids are forgotten soon, a client that tried again might be too late.
void DrawRequests(uint64_t seed, SimOptions* options) {
  Dice dice(seed, "requests");
  options->request_permille = dice.Pick<uint64_t>({0, 300, 700});
  if (dice.Chance(600)) {
    options->request_keep_ms = 10 * 60 * 1000;
    options->request_ids_max = 1'000'000;
    options->request_tries_max = 1 + dice.Below(4);
  } else {
    options->request_keep_ms = 1 + dice.Below(2000);
    options->request_ids_max = 1 + dice.Below(20);
  }
}

// With dice of its own.
void DrawBends(uint64_t seed, SimOptions* options) {
  options->bends = Dice(seed, "bends").Chance(200);
}

// Not with states that are bent: who is a majority would change while it looks for them.
void DrawMembers(uint64_t seed, SimOptions* options) {
  Dice dice(seed, "members");
  options->founders = options->nodes;
  if (dice.Chance(250) && !options->bends && options->nodes < 7) {
    options->changes_members = true;
    options->nodes += 1 + dice.Below(4);
  }
}

// With dice of its own.
void DrawPriorities(uint64_t seed, SimOptions* options) {
  Dice dice(seed, "priorities");
  if (!dice.Chance(300)) {
    return;
  }
  for (uint64_t node = 0; node < options->nodes; ++node) {
    options->priorities.push_back(
        dice.Pick<uint64_t>({0, 0, raft::kPriorityDefault, raft::kPriorityDefault, 200, 300}));
  }
}

// With dice of its own. A run has some hundred events, a few bytes each, within some seconds.
void DrawHistory(uint64_t seed, SimOptions* options) {
  Dice dice(seed, "history");
  kv::HistoryLimits& limits = options->history_limits;
  limits.segments = 1 + dice.Below(6);
  limits.age_ms =
      1 + dice.Below(static_cast<uint64_t>(60 * options->ElectionTimeout() / kNanosPerMilli));
  limits.events = dice.Pick<uint64_t>({5, 40, 200, 10'000});
  limits.bytes = dice.Pick<uint64_t>({500, 5000, 50'000, 10'000'000});
  kv::WatchHub::Limits& watches = options->watches;
  watches.recent_bytes_max = dice.Pick<uint64_t>({100, 1000, 100'000});
  watches.batch_events_max = 1 + dice.Below(4);
  watches.visited_max = 1 + dice.Below(8);
  watches.reads_max = 1 + dice.Below(2);
  watches.served_per_turn_max = 1 + dice.Below(4);
  watches.compared_per_turn_max = 1 + dice.Below(8);
  limits.previous_bytes = dice.Pick<uint64_t>({10, 100, 10'000, 10'000});
}

// With dice of its own.
void DrawLeases(uint64_t seed, SimOptions* options) {
  Dice dice(seed, "leases");
  options->lease_ids = dice.Pick<uint64_t>({0, 1, 2, 4});
  options->leases_max = 1 + dice.Below(6);
}

}  // namespace

log::v1::ClusterConfiguration SimOptions::Founded() const {
  log::v1::ClusterConfiguration record;
  record.set_cluster_id(1);
  for (uint64_t node = 1; node <= founders; ++node) {
    log::v1::ConfiguredMember* member = record.add_members();
    member->set_id(node);
    member->set_name(absl::StrCat("n", node));
    member->set_peer_address(absl::StrCat("n", node, ":1"));
    member->set_data_id(node);
    record.add_voters(node);
  }
  return record;
}

raft::Configuration SimOptions::Members() const { return kv::IdsOf(Founded()); }

raft::RaftConfig SimOptions::CoreConfig(raft::NodeId self) const {
  return {.self = self,
          .heartbeat_ticks = heartbeat_ticks,
          .election_timeout_ticks = election_timeout_ticks,
          .priority = PriorityOf(self),
          .append_bytes_max = append_bytes_max,
          .inflight_appends_max = inflight_appends_max,
          .inflight_bytes_max = inflight_bytes_max,
          .log_memory_bytes_max = log_memory_bytes_max,
          .uncommitted_bytes_max = uncommitted_bytes_max};
}

uint64_t SimOptions::PriorityOf(raft::NodeId node) const {
  return priorities.empty() ? raft::kPriorityDefault : priorities.at(node.value() - 1);
}

std::map<uint64_t, log::v1::MemberRecord> SimOptions::PublishedRecords() const {
  std::map<uint64_t, log::v1::MemberRecord> records;
  for (uint64_t id = 1; id <= priorities.size(); ++id) {
    records[id].set_member_id(id);
    records[id].set_peer_address(absl::StrCat("n", id, ":1"));
    records[id].set_priority(static_cast<uint32_t>(PriorityOf(raft::NodeId(id))));
  }
  return records;
}

std::string SimOptions::Describe() const {
  return absl::StrCat(
      "seed=", seed, " nodes=", nodes,
      changes_members ? absl::StrCat(" founders=", founders, " changes_members") : "",
      priorities.empty() ? "" : absl::StrCat(" priorities=", absl::StrJoin(priorities, ",")),
      " operations=", operations, " clients=", clients, " keys=", keys,
      "\n  election_timeout_ticks=", election_timeout_ticks, " heartbeat_ticks=", heartbeat_ticks,
      " append_bytes_max=", append_bytes_max, " inflight_appends_max=", inflight_appends_max,
      " inflight_bytes_max=", inflight_bytes_max, " log_memory_bytes_max=", log_memory_bytes_max,
      " uncommitted_bytes_max=", uncommitted_bytes_max,
      "\n  uncommitted_entries_max=", driver.uncommitted_entries_max,
      " uncommitted_large_entries_max=", driver.uncommitted_large_entries_max,
      " entry_commands_max=", driver.entry_commands_max,
      " entry_bytes_max=", driver.entry_bytes_max, " apply_bytes_max=", driver.apply_bytes_max,
      " proposals_max=", driver.proposals_max, " proposal_bytes_max=", driver.proposal_bytes_max,
      " reads_max=", driver.reads_max, " forwarded_max=", driver.forwarded_max,
      " forwarded_bytes_max=", driver.forwarded_bytes_max,
      " forward_frames_max=", forward_frames_max, "\n  drift_ppm_max=", drift_ppm_max,
      " network=", network_mode == NetworkMode::kStreams ? "streams" : "datagrams",
      wire_bytes ? " wire_bytes" : "", " delay=", Millis(delay_min), "..", Millis(delay_max),
      " late_permille=", late_permille, " lost_permille=", lost_permille,
      " doubled_permille=", doubled_permille, " silence_limit=", Millis(silence_limit),
      slow_links ? absl::StrCat(" slow_links, large frames ",
                                large_frames == LargeFrames::kWhole
                                    ? "whole"
                                    : absl::StrCat("in parts of ", part_bytes))
                 : "",
      "\n  sync=", Millis(sync_min), "..", Millis(sync_max),
      " wal_file_records_max=", wal_file_records_max,
      " apply_stall_permille=", apply_stall_permille, " due_keys_max=", due_keys_max,
      full_disks ? " full_disks" : "", "\n  log_bytes_max=", driver.log_bytes_max,
      " log_entries_kept=", driver.log_entries_kept, " snapshots_max=", driver.snapshots_max,
      " snapshot_retry_after=", Millis(driver.snapshot_retry_after),
      " snapshot_chunk_rows=", snapshot_chunk_rows,
      " snapshot_fail_permille=", snapshot_fail_permille,
      " snapshot_echo_permille=", snapshot_echo_permille, absences ? " absences" : "",
      bends ? " bends" : "", "\n  history: age=", history_limits.age_ms,
      "ms events=", history_limits.events, " bytes=", history_limits.bytes,
      " previous_bytes=", history_limits.previous_bytes, " segments=", history_limits.segments,
      "\n  think_max=", Millis(think_max), " timeout=", Millis(timeout), " ttl_ms_max=", ttl_ms_max,
      " read_permille=", read_permille, " ttl_permille=", ttl_permille,
      " request_permille=", request_permille, " request_keep_ms=", request_keep_ms,
      " lease_ids=", lease_ids, " leases_max=", leases_max, " request_ids_max=", request_ids_max,
      " request_tries_max=", request_tries_max, " fault_pause_max=", Millis(fault_pause_max),
      " fault_length_max=", Millis(fault_length_max));
}

SimOptions ExpandOptions(uint64_t seed, const OptionOverrides& overrides) {
  SimOptions options;
  options.seed = seed;
  Dice dice(seed, "options");
  options.nodes = dice.Pick<uint64_t>({1, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 5, 5, 5, 5, 5, 5, 5, 7});
  DrawProtocol(&dice, &options);
  DrawEnvironment(&dice, &options);
  DrawClients(&dice, &options);
  DrawFaults(&dice, &options);
  Dice forwarding_dice(seed, "forwarding");
  DrawForwarding(&forwarding_dice, &options);
  DrawSlowLinks(seed, &options);
  DrawFullDisks(seed, &options);
  DrawSnapshots(seed, &options);
  DrawBends(seed, &options);
  DrawRequests(seed, &options);
  DrawHistory(seed, &options);
  DrawLeases(seed, &options);
  if (overrides.nodes.has_value()) {
    options.nodes = options.founders = *overrides.nodes;
  } else {
    DrawMembers(seed, &options);
  }
  DrawPriorities(seed, &options);
  options.operations = overrides.operations.value_or(options.operations);
  options.only_spec = overrides.only_spec;
  CHECK(options.CoreConfig(raft::NodeId(1)).Validate().ok());
  CHECK(options.driver.Validate().ok());
  return options;
}

}  // namespace raftkv::simulation
