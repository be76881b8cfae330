// The client API's LeaseService: leases as calls, and streams that keep them alive.
#pragma once

#include <cstddef>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "base/clock.h"
#include "kv/store.h"
#include "raftkv/v1/lease.pb.h"
#include "server/api/response_header.h"
#include "server/loop/client_service.h"
#include "server/loop/stream_call.h"
#include "server/loop/unary_call.h"

namespace raftkv::server {

// The command of a request. Each fails with the error to answer with (kv/errors.h).
absl::StatusOr<log::v1::Command> MakeCommand(const v1::GrantLeaseRequest& request);
absl::StatusOr<log::v1::Command> MakeCommand(const v1::RenewLeaseRequest& request);
absl::StatusOr<log::v1::Command> MakeCommand(const v1::RevokeLeaseRequest& request);

// Confined to the loop.
class LeaseService final {
 public:
  // Borrows the store, the clock and what `header` needs.
  LeaseService(kv::Store* store, const MonotonicClock* clock, ResponseHeaderFiller header);
  ~LeaseService();

  // What to register with the server.
  ClientService& service() { return service_; }
  // Starts taking calls. REQUIRES: the server is started.
  void Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting);
  // All streams end, with SHUTTING_DOWN, and new ones at once.
  void End();

 private:
  class Stream;

  // Brings a command into the log, and answers with what `fill` says of its outcome.
  template <typename Response>
  void Write(ApiCall* call, const absl::StatusOr<log::v1::Command>& command,
             void (*fill)(const log::v1::CommandOutcome& outcome, Response* response));
  void Grant(ApiCall* call, const v1::GrantLeaseRequest& request);
  void Renew(ApiCall* call, const v1::RenewLeaseRequest& request);
  void Revoke(ApiCall* call, const v1::RevokeLeaseRequest& request);
  void Get(ApiCall* call, const v1::GetLeaseRequest& request);
  void List(ApiCall* call, const v1::ListLeasesRequest& request);
  void FillLease(const kv::Lease& lease, raft::ClusterMillis term_began, v1::Lease* filled) const;

  kv::Store& store_;
  const MonotonicClock& clock_;
  const ResponseHeaderFiller header_;
  ClientService service_{"raftkv.v1.LeaseService"};
  StreamCall::Method keep_alive_method_;
  // Those that are open.
  std::set<Stream*> streams_;
  bool ended_ = false;
};

}  // namespace raftkv::server
