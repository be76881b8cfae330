#include "server/parts.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/api/backups.h"
#include "server/api/kv_streams.h"
#include "server/differing_state.h"
#include "server/limits.h"

namespace raftkv::server {
namespace {

StreamFigures FiguresOf(const KvStreams& streams) {
  return {.open = streams.open(),
          .begun = streams.counts().begun,
          .operations = streams.counts().operations,
          .failed = streams.counts().failed};
}

BackupFigures FiguresOf(const Backups& backups) {
  return {.in_progress = backups.running(),
          .begun = backups.counts().begun,
          .completed = backups.counts().completed,
          .sent_bytes = backups.counts().bytes};
}

}  // namespace

void Parts::MakeMember(StartingPoint start) {
  directory = std::make_unique<kv::MemberDirectory>(
      kv::MemberDirectory::Self{
          .id = start.member_id,
          .name = options.name,
          .data_id = data->data_id(),
          .client_address = "",
          .peer_address = "",
          .priority = static_cast<uint64_t>(options.priority),
          .restored_from = data->restored().has_value() ? data->restored()->backup_id : 0},
      &data->configuration(), data->state_machine());
  MakePools();
  event_log =
      std::make_unique<EventLog>(directory.get(), [this](const raft::StateDifference& difference) {
        EndDiffering(Describe(difference), data.get());
      });
  raft_counts = std::make_unique<RaftCounts>(event_log.get());
  peers = std::make_unique<PeerWing>(&options, founders, data.get(), directory.get(), tls->peer(),
                                     snapshots.get(), loop.get(), &clock, HooksOfPeers());
  member = std::make_unique<kv::Member>(
      OptionsOfMember(options, start.member_id),
      kv::Member::Edges{
          .transport = peers->transport(),
          .log_store = data->log_store(),
          .state_machine = data->state_machine(),
          .clock = &clock,
          .observer = raft_counts.get(),
          .directory = directory.get(),
          .reads = reads.get(),
          .scans = scans.get(),
          .upkeep = upkeep.get(),
          .save_clock = [this](const auto& reading) { data->SaveClusterClock(reading); },
          .on_unusable = endings.unusable,
          .on_wrong_state = [this](const auto& what) { EndDiffering(what, data.get()); }},
      std::move(start.restored), data->restored_clock());
  member->driver().SetDormant(!directory->founded());
  peers->SetMember(member.get());
}

void Parts::MakePools() {
  reads = std::make_unique<ThreadDiskPool>(kPoolThreads, kPoolTasksMax, loop.get());
  scans = std::make_unique<ThreadDiskPool>(1, kPoolTasksMax, loop.get());
  snapshots = std::make_unique<ThreadDiskPool>(kSnapshotPoolThreads, kPoolTasksMax, loop.get());
  upkeep = std::make_unique<ThreadDiskPool>(kUpkeepPoolThreads, kPoolTasksMax, loop.get());
  disk_usage = std::make_unique<DiskUsage>(data.get(), upkeep.get(), &clock);
}

PeerWing::Hooks Parts::HooksOfPeers() {
  return {.stop_unusable = endings.unusable,
          .on_joined =
              [this](uint64_t id, raft::Configuration ids) {
                member->Join(raft::NodeId(id), std::move(ids));
              },
          .on_removed = endings.removed};
}

ClusterService::Hooks Parts::HooksOfClusterService() {
  return {.started_at = started_at,
          .disk_bytes = [this] { return disk_usage->bytes(); },
          .fill_memory = [this](auto* use) { memory_usage->Fill(use); },
          .transfer_at =
              [this](raft::NodeId leader, raft::NodeId target, MonotonicNanos deadline,
                     raft::TransferCallback done) {
                peers->TransferLeadership(leader, target, deadline, std::move(done));
              },
          .change_members =
              [this](const peer::v1::ChangeMembersRequest& change, MonotonicNanos deadline,
                     kv::Membership::Done done) {
                peers->ChangeMembers(change, deadline, std::move(done));
              },
          .fill_requests = [this](auto* to) { FillStats(request_stats, to); },
          .fill_peers = [this](auto* to) { peers->FillStatus(to); },
          .warnings = [this] { return Warnings(); }};
}

void Parts::MakeServices() {
  calls.clock = &clock;
  calls.requests = &request_stats;
  calls.default_timeout = options.request_timeout_ms * kNanosPerMilli;
  kv::Store* const store = &member->store();
  memory_usage =
      std::make_unique<MemoryUsage>(options.memory_bytes_max, data.get(), &calls.backlog);
  client_api = std::make_unique<ClientApi>(
      KvService::Limits{
          .value_bytes_max = static_cast<uint64_t>(options.value_bytes_max),
          .delete_range_keys_max = static_cast<uint64_t>(options.delete_range_keys_max)},
      HooksOfClusterService(), directory.get(), store, &member->watches(), &member->driver(),
      snapshots.get(), &clock);
  MakeMetrics();
  http = std::make_unique<Gateway>(
      options, client_api->services(), tls->http(), loop.get(), &calls, &clock,
      [this](MonotonicNanos timeout) { return metrics->Scrape(timeout); });
}

void Parts::MakeMetrics() {
  metrics = std::make_unique<Metrics>(
      Metrics::Sources{.directory = directory.get(),
                       .member = member.get(),
                       .storage = data.get(),
                       .raft = raft_counts.get(),
                       .peers = peers.get(),
                       .calls = &calls,
                       .services = client_api->services(),
                       .disk =
                           [this] {
                             return DiskFigures{.used_bytes = disk_usage->bytes(),
                                                .free_bytes = disk_usage->space().free_bytes,
                                                .total_bytes = disk_usage->space().total_bytes,
                                                .reserve_bytes = disk_usage->reserve_bytes(),
                                                .is_low = disk_usage->low()};
                           },
                       .backups = [this] { return FiguresOf(client_api->backups()); },
                       .streams = [this] { return FiguresOf(client_api->streams()); },
                       .fill_memory = [this](auto* use) { memory_usage->Fill(use); },
                       .warnings = [this] { return client_api->Warnings(); },
                       .certificates_end = [this] { return tls->not_after(); }},
      loop.get(), &clock);
}

std::vector<std::string> Parts::Warnings() const {
  std::vector<std::string> warnings = peers->Warnings();
  for (std::string& warning : tls->Warnings()) {
    warnings.push_back(std::move(warning));
  }
  return warnings;
}

}  // namespace raftkv::server
