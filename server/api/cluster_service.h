// The client API's ClusterService: who is in the cluster, and how this member is.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kv/member_directory.h"
#include "kv/store.h"
#include "raftkv/v1/cluster.pb.h"
#include "server/api/response_header.h"
#include "server/loop/client_service.h"

namespace raftkv::server {

// Confined to the loop.
class ClusterService final {
 public:
  // What only the process knows of itself.
  struct Hooks {
    MonotonicNanos started_at = 0;
    std::function<int64_t()> disk_bytes;
    // Fills in all but what the log has.
    std::function<void(v1::MemoryUse* use)> fill_memory;
    // What is wrong with the member's connections; empty: nothing.
    std::function<std::vector<std::string>()> warnings;
  };

  // Borrows all that is pointed to.
  ClusterService(const kv::MemberDirectory* directory, kv::Store* store,
                 const MonotonicClock* clock, ResponseHeaderFiller header, Hooks hooks);

  // What to register with the server and to start.
  ClientService& service() { return service_; }

 private:
  void ListMembers(ApiCall* call, const v1::ListMembersRequest& request);
  void FinishListMembers(ApiCall* call) const;
  void FillStatus(v1::GetStatusResponse* response) const;

  const kv::MemberDirectory& directory_;
  kv::Store& store_;
  const MonotonicClock& clock_;
  const ResponseHeaderFiller header_;
  const Hooks hooks_;
  ClientService service_{"raftkv.v1.ClusterService"};
};

}  // namespace raftkv::server
