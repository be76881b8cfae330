// Parts is what a member's process is made of, made and wired to one another. When it runs and how
// it ends is the server's own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kv/member.h"
#include "kv/member_directory.h"
#include "server/api/client_api.h"
#include "server/disk_usage.h"
#include "server/event_log.h"
#include "server/http/gateway.h"
#include "server/loop/event_loop.h"
#include "server/loop/request_stats.h"
#include "server/loop/thread_disk_pool.h"
#include "server/loop/unary_call.h"
#include "server/memory_budget.h"
#include "server/memory_usage.h"
#include "server/metrics/metrics.h"
#include "server/metrics/raft_counts.h"
#include "server/options.h"
#include "server/peer/peer_wing.h"
#include "server/startup.h"
#include "server/tls/tls_ports.h"
#include "storage/storage.h"

namespace raftkv::server {

// Confined to the loop, but for what says otherwise itself.
struct Parts {
  // What a part finds that ends the process.
  struct Endings {
    // The data directory turned out to be unusable.
    std::function<void(const std::string& reason)> unusable;
    // This member was removed from the cluster.
    std::function<void(const std::string& what, bool at_start)> removed;
  };

  Parts(const ServerOptions& server_options, Endings process_endings)
      : options(server_options), endings(std::move(process_endings)) {}

  Parts(const Parts&) = delete;
  Parts& operator=(const Parts&) = delete;

  // REQUIRES: `loop`, `tls`, `founders` and `data` are there.
  void MakeMember(StartingPoint start);
  // What clients ask the member, by gRPC and by HTTP. REQUIRES: the member is made.
  void MakeServices();

  const ServerOptions options;
  const Endings endings;
  const MemoryBudget memory = ShareOutMemory(options);
  const SystemMonotonicClock clock;
  const MonotonicNanos started_at = clock.Now();
  std::vector<Founder> founders;
  // The log thread tells it of syncs, too, so it outlives the storage.
  RequestStats request_stats{&clock};

  // In the order in which they are made; taken down in the reverse order.
  std::unique_ptr<TlsPorts> tls;
  std::unique_ptr<EventLoop> loop;
  // The open data directory.
  std::unique_ptr<storage::Storage> data;
  std::unique_ptr<kv::MemberDirectory> directory;
  std::unique_ptr<ThreadDiskPool> reads;
  // Of its own, so that long lists do not make keys expire late.
  std::unique_ptr<ThreadDiskPool> scans;
  // Of its own, so that what clients ask does not wait for snapshots, nor these for it.
  std::unique_ptr<ThreadDiskPool> snapshots;
  // Of its own, since what it does may take minutes, and looks at the disk must not wait for that.
  std::unique_ptr<ThreadDiskPool> upkeep;
  std::unique_ptr<DiskUsage> disk_usage;
  std::unique_ptr<PeerWing> peers;
  std::unique_ptr<EventLog> event_log;
  std::unique_ptr<RaftCounts> raft_counts;
  std::unique_ptr<kv::Member> member;
  CallAccounting calls{memory.unsent_answers};
  std::unique_ptr<MemoryUsage> memory_usage;
  std::unique_ptr<ClientApi> client_api;
  std::unique_ptr<Metrics> metrics;
  std::unique_ptr<Gateway> http;

 private:
  void MakePools();
  PeerWing::Hooks HooksOfPeers();
  ClusterService::Hooks HooksOfClusterService();
  void MakeMetrics();
  // What GetStatus tells people.
  std::vector<std::string> Warnings() const;
};

}  // namespace raftkv::server
