// ClientService is one service of the client API: its methods by name, and what handles each.
#pragma once

#include <functional>
#include <list>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "server/loop/unary_call.h"
#include "server/loop/unary_service.h"

namespace raftkv::server {

// Confined to the loop once its server is started.
class ClientService final {
 public:
  // `name` is the full one, "raftkv.v1.KvService".
  explicit ClientService(std::string name) : name_(std::move(name)) {}

  // Adds a unary method. `handle` gets each call with its request, parsed and without a field that
  // this version does not know; other calls have failed already. `unsendable` is what a call is
  // answered with when too many answers wait. REQUIRES: the server is not started.
  template <typename Request>
  void AddMethod(const std::string& method, absl::Status (*unsendable)(),
                 std::function<void(UnaryCall* call, Request request)> handle) {
    Add(method, unsendable, [handle = std::move(handle)](UnaryCall* call) {
      Request request;
      if (call->Parse(&request)) {
        handle(call, std::move(request));
      }
    });
  }
  // A method whose calls are handled elsewhere; returns its number for service()->Announce.
  int AddStream(const std::string& method);

  // What to register with the server.
  UnaryService* service() { return &service_; }
  // Starts taking calls. REQUIRES: the server is started.
  void Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting);

 private:
  void Add(const std::string& method, absl::Status (*unsendable)(),
           std::function<void(UnaryCall*)> handle);

  const std::string name_;
  // gRPC keeps pointers to the names, and calls to their methods: neither may move.
  std::list<std::string> paths_;
  std::list<UnaryCall::Method> methods_;
  UnaryService service_;
};

}  // namespace raftkv::server
