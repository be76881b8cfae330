#include "server/startup.h"
#include "server/memory_budget.h"

#include <glog/logging.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "base/host_port.h"
#include "base/status_macros.h"
#include "kv/command_semantics.h"
#include "raft/wire/convert.h"
#include "server/disk_reserve.h"
#include "server/effective_configuration.h"
#include "server/loop/event_loop.h"
#include "server/peer/founding.h"

namespace raftkv::server {
namespace {

bool IsAmong(const std::vector<Founder>& founders, const std::string& name) {
  return std::any_of(founders.begin(), founders.end(),
                     [&name](const Founder& founder) { return founder.name == name; });
}

absl::Status NoFounderError(const ServerOptions& options) {
  return absl::InvalidArgumentError(
      absl::StrCat("--initial_cluster=", options.initial_cluster,
                   ": must contain this member, --name=", options.name));
}

// What others can dial when all that is known is "every interface".
std::string HostName() {
  char name[HOST_NAME_MAX + 1] = {};
  return gethostname(name, HOST_NAME_MAX) == 0 ? name : "localhost";
}

// Where others reach what listens on `listen`: a wildcard is reached as the peer port is.
std::string Reachable(const std::string& listen, int port, const std::string& peer_address) {
  const HostPort address = *HostPort::Parse(listen);
  const std::string host =
      address.IsWildcard() ? HostPort::Parse(peer_address)->host : address.host;
  return HostPort{.host = host, .port = port}.ToString();
}

uint64_t RandomNonZero() {
  std::random_device entropy;
  const uint64_t value = static_cast<uint64_t>(entropy()) << 32 | entropy();
  return std::max<uint64_t>(1, value);
}

absl::StatusOr<raft::Configuration> StoredConfiguration(const storage::Storage& storage) {
  RAFTKV_RETURN_IF_ERROR(
      CheckStoredIdentity(*storage.configuration(), storage.member_id(), storage.member_name()));
  auto configuration = wire::FromProto(*storage.configuration());
  if (!configuration.ok()) {
    return absl::DataLossError(
        absl::StrCat("the stored configuration is damaged: ", configuration.status().message()));
  }
  return configuration;
}

storage::StorageOptions OptionsOfStorage(const ServerOptions& options) {
  const MemoryBudget memory = ShareOutMemory(options);
  return {.data_dir = options.data_dir,
          .log_memory_bytes_max = memory.log_tail,
          .write_buffer_bytes = memory.write_buffer,
          .log_write_buffer_bytes = memory.log_write_buffer,
          .wal_bytes_max = memory.wal,
          .cache_bytes = memory.cache,
          .header_cache_bytes = memory.header_cache};
}

}  // namespace

absl::StatusOr<std::unique_ptr<storage::Storage>> OpenStorage(
    const ServerOptions& options, const std::vector<Founder>& founders, Waker* waker,
    std::function<void(MonotonicNanos took)> on_sync) {
  if (options.Joins() && !founders.empty() && !storage::Storage::HoldsData(options.data_dir)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--initial_cluster=", options.initial_cluster, ": goes without --",
                     options.wait_for_invite ? "wait_for_invite" : "join",
                     " while --data_dir is empty: a node either founds a cluster or joins one"));
  }
  const bool is_founder = founders.empty() || IsAmong(founders, options.name);
  // Asked here as well, so that a mistake leaves no directory behind.
  if (!is_founder && !storage::Storage::HoldsData(options.data_dir)) {
    return NoFounderError(options);
  }
  RAFTKV_ASSIGN_OR_RETURN(const storage::DiskSpace disk, storage::FindDiskSpace(options.data_dir));
  storage::StorageOptions storage_options = OptionsOfStorage(options);
  storage_options.disk_reserve_bytes =
      DiskReserveBytes(options.disk_reserve_bytes, disk.total_bytes);
  storage_options.on_sync = std::move(on_sync);
  storage::FitToReserve(&storage_options);
  RAFTKV_ASSIGN_OR_RETURN(std::unique_ptr<storage::Storage> storage,
                          storage::Storage::Open(storage_options, waker));
  // What is stored wins over the list, so for a founded member the list does not matter.
  if (!is_founder && !storage->configuration().has_value()) {
    return NoFounderError(options);
  }
  std::string name = storage->member_name();
  if (name.empty() && storage->restored().has_value()) {
    name = storage->restored()->name;
  }
  if (!name.empty() && name != options.name) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--data_dir=", options.data_dir, " belongs to member \"", name, "\", not to --name=",
        options.name, ": start it with its own name, or give this member its own directory"));
  }
  return storage;
}

absl::StatusOr<std::vector<Founder>> FindFounders(const ServerOptions& options,
                                                  const storage::Storage& storage) {
  std::vector<Founder> told;
  if (!options.initial_cluster.empty()) {
    RAFTKV_ASSIGN_OR_RETURN(told, ParseInitialCluster(options.initial_cluster));
  }
  const std::optional<storage::RestoreRecord>& restored = storage.restored();
  // What is founded wins over all lists.
  if (!restored.has_value() || storage.configuration().has_value()) {
    return told;
  }
  // A log is brought to nobody who has applied something.
  if (options.Joins()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--data_dir=", options.data_dir,
        " was restored from a backup, so it founds a cluster of its own and joins none: leave away "
        "--",
        options.wait_for_invite ? "wait_for_invite" : "join",
        ", or, to join one, start with an empty directory"));
  }
  std::vector<Founder> founders;
  if (!restored->initial_cluster.empty()) {
    RAFTKV_ASSIGN_OR_RETURN(founders, ParseInitialCluster(restored->initial_cluster));
  }
  if (!told.empty() && told != founders) {
    return absl::FailedPreconditionError(absl::StrCat(
        "--data_dir=", options.data_dir, " was restored from a backup for ",
        founders.empty() ? "a member alone"
                         : absl::StrCat("--initial_cluster=", restored->initial_cluster),
        ", not for --initial_cluster=", options.initial_cluster,
        ": leave the flag away, or restore it again for that list into an empty directory"));
  }
  return founders;
}

absl::StatusOr<StartingPoint> FindStartingPoint(const ServerOptions& options,
                                                const std::vector<Founder>& founders,
                                                storage::Storage* storage) {
  if (const absl::Status known =
          kv::CheckClusterVersion(storage->state_machine()->cluster_version());
      !known.ok()) {
    return absl::FailedPreconditionError(
        absl::StrCat("--data_dir=", options.data_dir, ": ", known.message()));
  }
  StartingPoint start;
  RAFTKV_ASSIGN_OR_RETURN(start.restored, storage->Restore());
  if (storage->configuration().has_value()) {
    auto configuration = StoredConfiguration(*storage);
    if (!configuration.ok()) {
      return absl::DataLossError(
          absl::StrCat("--data_dir=", options.data_dir, ": ", configuration.status().message()));
    }
    start.member_id = storage->member_id();
    start.restored.configuration = *std::move(configuration);
    return start;
  }
  if (options.Joins()) {
    // Nobody, until it is told who. The core has to have an id; it is dormant.
    start.restored.configuration.voters.insert(raft::NodeId(1));
    return start;
  }
  // Ids follow the sorted names, so they are known before the cluster is founded.
  start.member_id = 1;
  for (size_t i = 0; i < std::max<size_t>(1, founders.size()); ++i) {
    start.restored.configuration.voters.insert(raft::NodeId(i + 1));
    if (i < founders.size() && founders[i].name == options.name) {
      start.member_id = i + 1;
    }
  }
  return start;
}

kv::MemberOptions OptionsOfMember(const ServerOptions& options, uint64_t member_id) {
  constexpr MonotonicNanos kTick = EventLoop::kTick;
  const MonotonicNanos election_timeout = options.election_timeout_ms * kNanosPerMilli;
  kv::MemberOptions member;
  member.tick = kTick;
  member.raft.self = raft::NodeId(std::max<uint64_t>(1, member_id));
  member.raft.heartbeat_ticks =
      static_cast<uint64_t>(options.heartbeat_interval_ms * kNanosPerMilli / kTick);
  member.raft.priority = static_cast<uint64_t>(options.priority);
  member.raft.election_timeout_ticks = static_cast<uint64_t>(election_timeout / kTick);
  member.driver.leader_wait = 3 * election_timeout;
  member.driver.read_retry_after = election_timeout;
  const MemoryBudget memory = ShareOutMemory(options);
  member.raft.log_memory_bytes_max = memory.log_tail;
  member.raft.uncommitted_bytes_max = memory.proposals;
  member.driver.proposal_bytes_max = memory.proposals;
  member.driver.log_bytes_max = static_cast<uint64_t>(options.log_bytes_max);
  member.origin = RandomNonZero();
  member.seed = RandomNonZero();
  member.publish_timeout = options.request_timeout_ms * kNanosPerMilli;
  return member;
}

AdvertisedAddresses WhatToAdvertise(const ServerOptions& options,
                                    const std::vector<Founder>& founders, int client_port,
                                    int peer_port) {
  AdvertisedAddresses advertised{.client = options.advertise_client,
                                 .peer = options.advertise_peer};
  for (const Founder& founder : founders) {
    if (advertised.peer.empty() && founder.name == options.name) {
      advertised.peer = founder.peer_address;
    }
  }
  if (advertised.peer.empty()) {
    const HostPort listen = *HostPort::Parse(options.listen_peer);
    const std::string host = listen.IsWildcard() ? HostName() : listen.host;
    advertised.peer = HostPort{.host = host, .port = peer_port}.ToString();
  }
  if (advertised.client.empty()) {
    advertised.client = Reachable(options.listen_client, client_port, advertised.peer);
  }
  return advertised;
}

void LogStart(const ServerOptions& options, const kv::MemberDirectory::Self& self,
              std::optional<int> http_port, const kv::Store& store, int64_t disk_reserve_bytes) {
  const raft::RaftStatus raft = store.raft();
  LOG(INFO) << DescribeConfiguration(options);
  LOG(INFO) << "recovered term " << raft.term << ", log to index " << raft.last_entry.index
            << ", applied " << raft.applied.index << ", revision " << store.revision() << ", "
            << store.key_count() << " keys";
  LOG(INFO) << "heartbeats every " << options.heartbeat_interval_ms << " ms, elections after "
            << options.election_timeout_ms << " to " << 2 * options.election_timeout_ms
            << " ms without one; values up to " << options.value_bytes_max << " bytes; "
            << FormatByteSize(options.memory_bytes_max) << " of memory planned; a log of up to "
            << FormatByteSize(options.log_bytes_max) << "; puts while "
            << FormatByteSize(disk_reserve_bytes) << " of the disk are free";
  const std::string http =
      http_port.has_value() ? Reachable(options.listen_http, *http_port, self.peer_address) : "off";
  std::cerr << absl::StrCat("raftkvd ready name=", self.name, " id=", self.id,
                            " client=", self.client_address, " peer=", self.peer_address,
                            " http=", http, " data=", options.data_dir, "\n");
}

}  // namespace raftkv::server
