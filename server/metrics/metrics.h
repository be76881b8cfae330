// Metrics is the page /metrics: it takes what the loop counted, looks at the rest itself, and
// writes it as Prometheus reads it. See docs/adr/0025-who-acts-counts-and-a-scrape-copies.md.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "kv/member.h"
#include "kv/member_directory.h"
#include "raftkv/v1/cluster.pb.h"
#include "server/loop/client_service.h"
#include "server/loop/event_loop.h"
#include "server/loop/unary_call.h"
#include "server/metrics/loop_figures.h"
#include "server/metrics/raft_counts.h"
#include "server/peer/peer_wing.h"
#include "storage/storage.h"

namespace raftkv::server {

// Outlives the loop's last turn.
class Metrics final {
 public:
  // Borrowed. The functions are called on the loop.
  struct Sources {
    const kv::MemberDirectory* directory = nullptr;
    kv::Member* member = nullptr;
    storage::Storage* storage = nullptr;
    const RaftCounts* raft = nullptr;
    const PeerWing* peers = nullptr;
    const CallAccounting* calls = nullptr;
    std::vector<ClientService*> services = {};
    std::function<DiskFigures()> disk;
    std::function<BackupFigures()> backups;
    std::function<StreamFigures()> streams;
    // As ClusterService::Hooks'.
    std::function<void(v1::MemoryUse* use)> fill_memory;
    std::function<std::vector<std::string>()> warnings;
    // When the first certificate in use ends; infinite when there is none.
    std::function<absl::Time()> certificates_end;
  };

  Metrics(Sources sources, EventLoop* loop, const MonotonicClock* clock)
      : sources_(std::move(sources)), loop_(*loop), clock_(*clock) {}

  // Waits for the loop, `timeout` at most: UNAVAILABLE when it does not turn by then. For any
  // thread but the loop's own.
  absl::StatusOr<std::string> Scrape(MonotonicNanos timeout);

 private:
  // On the loop, in a few microseconds.
  LoopFigures Collect(MonotonicNanos asked_at) const;

  const Sources sources_;
  EventLoop& loop_;
  const MonotonicClock& clock_;
};

}  // namespace raftkv::server
