// grpc.health.v1 on the loop. gRPC's own service would bring a pool of polling threads that take
// events away from the loop and hand them back (docs/adr/0003-own-health-service.md).
//
//   ""                       SERVING from ready to drain, quorum or not: liveness
//   raftkv.v1.KvService ...  SERVING while a leader is known and applied state is caught up:
//                            readiness
//   raftkv.leader            SERVING while this member leads
#pragma once

#include <array>
#include <optional>
#include <string>

#include "grpc/health/v1/health.pb.h"
#include "kv/store.h"
#include "server/loop/client_service.h"
#include "server/loop/rounds.h"
#include "server/loop/stream_call.h"
#include "server/loop/unary_call.h"

namespace raftkv::server {

// Confined to the loop.
class HealthService final {
 public:
  // Borrows the store.
  explicit HealthService(const kv::Store* store);

  // What to register with the server.
  ClientService& service() { return service_; }
  // Starts taking calls. REQUIRES: the server is started.
  void Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting);
  // Tells some of the watchers what has changed, and costs the same whether there are many or none;
  // called every turn. Returns whether some must still be told.
  bool OnTurn();
  // Begins to end all watches; called when the node stops.
  void EndWatches();

 private:
  using Status = grpc::health::v1::HealthCheckResponse::ServingStatus;
  // The three kinds above.
  enum class Kind { kLiveness, kReadiness, kLeadership, kUnknown };
  static constexpr size_t kKinds = 4;
  class Watch;
  // The watches of one kind, and the status that the last round began to tell them.
  struct Watches {
    Rounds<Watch> rounds;
    std::optional<Status> told;
  };

  static Kind KindOf(const std::string& service);
  Status Current(Kind kind) const;
  void Check(ApiCall* call, const grpc::health::v1::HealthCheckRequest& request);
  Watches& watches(Kind kind) { return watches_[static_cast<size_t>(kind)]; }

  const kv::Store& store_;
  ClientService service_{"grpc.health.v1.Health"};
  StreamCall::Method watch_method_;
  std::array<Watches, kKinds> watches_;
  bool ended_ = false;
};

}  // namespace raftkv::server
