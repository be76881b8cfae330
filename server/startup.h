// What a member finds out before it runs: its data, who it is in it, and where it says that it is.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "base/waker.h"
#include "kv/member.h"
#include "raft/core/raft_core.h"
#include "server/options.h"
#include "storage/storage.h"

namespace raftkv::server {

// Opens the data directory for this member. A failure is for the user to read: InvalidArgument when
// the flags are wrong, which leaves no directory behind; any other when the directory cannot be
// used. `founders` is --initial_cluster, maybe empty. `on_sync` is StorageOptions'.
absl::StatusOr<std::unique_ptr<storage::Storage>> OpenStorage(
    const ServerOptions& options, const std::vector<Founder>& founders, Waker* waker,
    std::function<void(MonotonicNanos took)> on_sync);

// Whom to found a cluster with: those of --initial_cluster, or, of a directory that was made from a
// backup, those that it was made for. FailedPrecondition when the two differ.
absl::StatusOr<std::vector<Founder>> FindFounders(const ServerOptions& options,
                                                  const storage::Storage& storage);

// What a member begins with. Before the cluster is founded, its id and the voters are those that
// the founding will come to.
struct StartingPoint {
  uint64_t member_id = 0;
  raft::RestoredState restored;
};

// Fails, for the user to read, when the directory cannot be used.
absl::StatusOr<StartingPoint> FindStartingPoint(const ServerOptions& options,
                                                const std::vector<Founder>& founders,
                                                storage::Storage* storage);

// The member's times, and fresh random numbers.
kv::MemberOptions OptionsOfMember(const ServerOptions& options, uint64_t member_id);

struct AdvertisedAddresses {
  std::string client;
  std::string peer;
};

// What others are told, when the ports that are listened on are these.
AdvertisedAddresses WhatToAdvertise(const ServerOptions& options,
                                    const std::vector<Founder>& founders, int client_port,
                                    int peer_port);

// Says what was recovered and what was chosen, and then, in one line for whoever waits for it, that
// the member is ready. `http_port` is the one that is listened on; nullopt: none.
void LogStart(const ServerOptions& options, const kv::MemberDirectory::Self& self,
              std::optional<int> http_port, const kv::Store& store, int64_t disk_reserve_bytes);

}  // namespace raftkv::server
