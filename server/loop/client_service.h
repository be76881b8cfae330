// ClientService is one service of the client API: its methods by name, and what handles each,
// whichever front-end a call comes by.
#pragma once

#include <google/protobuf/message.h>

#include <functional>
#include <list>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "kv/errors.h"
#include "server/loop/api_call.h"
#include "server/loop/call_counts.h"
#include "server/loop/request_stats.h"
#include "server/loop/unary_call.h"
#include "server/loop/unary_service.h"

namespace raftkv::server {

// Confined to the loop once its server is started.
class ClientService final {
 public:
  // A unary method for a front-end that is not gRPC. Constant once the server is started.
  struct Method {
    // "/package.Service/Method".
    std::string path;
    // An empty one of the type of its requests.
    const google::protobuf::Message* request = nullptr;
    // Takes a call, and the request's values out. REQUIRES: the request is of this type, and has no
    // field that this version does not know; called on the loop.
    std::function<void(ApiCall* call, google::protobuf::Message* request)> handle;
    // What a call is answered with when too many answers wait already.
    absl::Status (*unsendable)() = nullptr;
    // Of its calls, gRPC's as well: whoever takes one in counts it.
    CallCounts* counts = nullptr;
    RequestKind kind = RequestKind::kOther;

    // Whether a call may change something: then it is done by when its answer finds no room.
    bool writes() const { return unsendable == kv::UnreadOutcomeError; }
  };

  // `name` is the full one, "raftkv.v1.KvService". `counted` says whether its calls are in
  // RequestStats.
  explicit ClientService(std::string name, bool counted = false)
      : name_(std::move(name)), counted_(counted) {}

  // Adds a unary method. `handle` gets each call with its request, parsed and without a field that
  // this version does not know; other calls have failed already. `unsendable` is what a call is
  // answered with when too many answers wait. REQUIRES: the server is not started.
  template <typename Request>
  void AddMethod(const std::string& method, absl::Status (*unsendable)(),
                 std::function<void(ApiCall* call, Request request)> handle) {
    const auto handle_message = [handle](ApiCall* call, google::protobuf::Message* request) {
      handle(call, std::move(static_cast<Request&>(*request)));
    };
    const auto handle_bytes = [handle = std::move(handle)](UnaryCall* call) {
      Request request;
      if (call->Parse(&request)) {
        handle(call, std::move(request));
      }
    };
    Add(method, unsendable, handle_bytes, &Request::default_instance(), handle_message);
  }
  // A method whose calls are handled elsewhere; returns its number for service()->Announce.
  int AddStream(const std::string& method);

  // What to register with the server.
  UnaryService* service() { return &service_; }
  // Starts taking calls. REQUIRES: the server is started.
  void Start(grpc::ServerCompletionQueue* queue, CallAccounting* accounting);
  // Of the unary ones, each; it stays where it is.
  const std::list<Method>& methods() const { return methods_; }

 private:
  void Add(const std::string& method, absl::Status (*unsendable)(),
           std::function<void(UnaryCall*)> handle_bytes, const google::protobuf::Message* request,
           std::function<void(ApiCall*, google::protobuf::Message*)> handle_message);

  const std::string name_;
  const bool counted_;
  // gRPC keeps pointers to the names, and calls to their methods: neither may move.
  std::list<std::string> paths_;
  std::list<CallCounts> counts_;
  std::list<UnaryCall::Method> grpc_methods_;
  std::list<Method> methods_;
  UnaryService service_;
};

}  // namespace raftkv::server
