// The client API's MaintenanceService: what a member says of itself to who looks after it.
#pragma once

#include <string>

#include "kv/disk_pool.h"
#include "kv/store.h"
#include "raftkv/v1/maintenance.pb.h"
#include "server/api/backups.h"
#include "server/api/response_header.h"
#include "server/loop/client_service.h"

namespace raftkv::server {

// Confined to the loop.
class MaintenanceService final {
 public:
  // Borrows all that is pointed to, and what `header` needs. `snapshots` reads backups.
  MaintenanceService(kv::Store* store, kv::DiskPool* snapshots, ResponseHeaderFiller header,
                     std::string member_name);

  // What to register with the server and to start.
  ClientService& service() { return service_; }
  // Starts taking calls. REQUIRES: the server is started.
  void Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting);
  // The calls that take long.
  Backups& backups() { return backups_; }
  const Backups& backups() const { return backups_; }

 private:
  void VerifyHash(ApiCall* call, const v1::VerifyHashRequest& request);
  void Compact(ApiCall* call, const v1::CompactRequest& request);

  kv::Store& store_;
  const ResponseHeaderFiller header_;
  ClientService service_{"raftkv.v1.MaintenanceService"};
  Backups backups_;
  int backup_method_ = 0;
};

}  // namespace raftkv::server
