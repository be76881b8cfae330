#include "server/api/client_api.h"

#include <utility>

namespace raftkv::server {

ClientApi::ClientApi(const KvService::Limits& limits, ClusterService::Hooks hooks,
                     const kv::MemberDirectory* directory, kv::Store* store, kv::WatchHub* watches,
                     raft::RaftDriver* driver, kv::DiskPool* snapshots, const MonotonicClock* clock)
    : header_(directory, store),
      kv_(limits, store, header_),
      scans_(store, header_),
      scan_method_(kv_.service().AddStream("Scan")),
      cluster_(directory, store, driver, clock, header_, WithWatches(std::move(hooks))),
      maintenance_(store, snapshots, header_, directory->self().name),
      watch_(store, watches, clock, header_),
      lease_(store, clock, header_),
      health_(store) {}

ClusterService::Hooks ClientApi::WithWatches(ClusterService::Hooks hooks) {
  hooks.fill_watches = [this](v1::WatchStatus* status) { watch_.FillStatus(status); };
  return hooks;
}

void ClientApi::Register(grpc::ServerBuilder* builder) {
  for (ClientService* service : services()) {
    builder->RegisterService(service->service());
  }
}

void ClientApi::Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting) {
  kv_.Start(queue, accounting);
  cluster_.service().Start(queue, accounting);
  scans_.Start(kv_.service().service(), scan_method_, queue, accounting);
  maintenance_.Start(queue, accounting);
  watch_.Start(queue, accounting);
  lease_.Start(queue, accounting);
  health_.Start(queue, accounting);
}

}  // namespace raftkv::server
