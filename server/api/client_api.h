// ClientApi is all that clients can call on a member: the services of its client port.
#pragma once

#include <grpcpp/server_builder.h>

#include <string>
#include <vector>

#include "base/clock.h"
#include "kv/member_directory.h"
#include "kv/store.h"
#include "server/api/cluster_service.h"
#include "server/api/health_service.h"
#include "server/api/kv_service.h"
#include "server/api/lease_service.h"
#include "server/api/maintenance_service.h"
#include "server/api/scans.h"
#include "server/api/watch_service.h"
#include "server/loop/unary_call.h"

namespace raftkv::server {

// Confined to the loop once it is started.
class ClientApi final {
 public:
  // Borrows all that is pointed to.
  ClientApi(const KvService::Limits& limits, ClusterService::Hooks hooks,
            const kv::MemberDirectory* directory, kv::Store* store, kv::WatchHub* watches,
            raft::RaftDriver* driver, kv::DiskPool* snapshots, const MonotonicClock* clock);

  // For other front-ends; they stay where they are.
  std::vector<ClientService*> services() {
    return {&kv_.service(),    &cluster_.service(), &maintenance_.service(),
            &watch_.service(), &lease_.service(),   &health_.service()};
  }

  const Backups& backups() const { return maintenance_.backups(); }
  const KvStreams& streams() const { return kv_.streams(); }

  // As ClusterService's.
  std::vector<std::string> Warnings() const { return cluster_.Warnings(); }

  void Register(grpc::ServerBuilder* builder);
  // Starts taking calls. REQUIRES: the server is started.
  void Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting);
  // As HealthService's, Backups', Scans' and WatchService's.
  bool OnTurn() {
    maintenance_.backups().OnTurn();
    scans_.OnTurn();
    const bool more = health_.OnTurn();
    return watch_.OnTurn() || more;
  }
  // Begins to end what takes requests for long or tells of keys: clients go on elsewhere.
  void Drain() {
    watch_.End();
    lease_.End();
    kv_.streams().Drain();
  }
  // Begins to end the other calls that end by nothing else.
  void EndStreams() {
    health_.EndWatches();
    maintenance_.backups().End();
    scans_.End();
  }

 private:
  ClusterService::Hooks WithWatches(ClusterService::Hooks hooks);

  const ResponseHeaderFiller header_;
  KvService kv_;
  Scans scans_;
  const int scan_method_;
  ClusterService cluster_;
  MaintenanceService maintenance_;
  WatchService watch_;
  LeaseService lease_;
  HealthService health_;
};

}  // namespace raftkv::server
