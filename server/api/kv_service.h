// The client API's KvService: each operation on keys as a call.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "kv/store.h"
#include "raftkv/v1/kv.pb.h"
#include "server/api/kv_operations.h"
#include "server/api/kv_streams.h"
#include "server/api/response_header.h"
#include "server/loop/client_service.h"

namespace raftkv::server {

// Confined to the loop.
class KvService final {
 public:
  using Limits = CommandLimits;

  // Borrows the store and what `header` needs.
  KvService(const Limits& limits, kv::Store* store, ResponseHeaderFiller header);

  // What to register with the server.
  ClientService& service() { return service_; }
  // Starts taking calls. REQUIRES: the server is started.
  void Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting);
  // The calls that take long.
  KvStreams& streams() { return streams_; }
  const KvStreams& streams() const { return streams_; }

 private:
  template <typename Request, typename Response>
  using Operation = void (KvOperations::*)(Request request, MonotonicNanos answer_by,
                                           KvOperations::Done<Response> done);

  // A method that does one operation. `unsendable` is as ClientService::AddMethod's.
  template <typename Request, typename Response>
  void AddOperation(const std::string& method, absl::Status (*unsendable)(),
                    Operation<Request, Response> operation);
  void Batch(ApiCall* call, v1::BatchRequest request);

  KvOperations operations_;
  ClientService service_{"raftkv.v1.KvService", /*counted=*/true};
  KvStreams streams_{&operations_};
  int stream_method_ = 0;
};

}  // namespace raftkv::server
