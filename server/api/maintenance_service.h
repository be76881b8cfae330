// The client API's MaintenanceService: what a member says of itself to who looks after it.
#pragma once

#include "kv/store.h"
#include "raftkv/v1/maintenance.pb.h"
#include "server/api/response_header.h"
#include "server/loop/client_service.h"

namespace raftkv::server {

// Confined to the loop.
class MaintenanceService final {
 public:
  // Borrows the store and what `header` needs.
  MaintenanceService(kv::Store* store, ResponseHeaderFiller header);

  // What to register with the server and to start.
  ClientService& service() { return service_; }

 private:
  void VerifyHash(ApiCall* call, const v1::VerifyHashRequest& request);

  kv::Store& store_;
  const ResponseHeaderFiller header_;
  ClientService service_{"raftkv.v1.MaintenanceService"};
};

}  // namespace raftkv::server
