// The HTTP port: the client API for whoever types curl. See
// docs/adr/0023-http-is-another-way-to-call-a-method.md.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "server/http/http_server.h"
#include "server/http/loop_caller.h"
#include "server/http/route_table.h"
#include "server/http/status_routes.h"
#include "server/loop/client_service.h"
#include "server/loop/event_loop.h"
#include "server/loop/unary_call.h"
#include "server/options.h"
#include "server/tls/port_tls.h"

namespace raftkv::server {

// Confined to the loop's thread, but for Stop.
class Gateway final : private HttpHandler {
 public:
  // Offers the methods of these services; borrows all that is pointed to. `tls` null: plain text.
  Gateway(const ServerOptions& options, const std::vector<ClientService*>& services,
          std::shared_ptr<PortTls> tls, EventLoop* loop, CallAccounting* accounting,
          const MonotonicClock* clock, MetricsPage metrics);

  // Listens on --listen_http, and does nothing when that is empty. An error is one line that names
  // flag, value, and what is in the way.
  absl::Status Listen();
  // Starts taking connections. REQUIRES: Listen succeeded, and the loop runs soon.
  void Start();
  // Ends every connection and waits until no thread is in a call any more, which needs the loop to
  // turn. Not for the loop's own thread.
  void Stop();

  // What is listened on; nullopt: nothing.
  std::optional<int> port() const { return port_; }

 private:
  std::optional<HttpAnswer> Refuse(const HttpRequest& head) override;
  HttpAnswer Handle(const HttpRequest& request) override;

  const ServerOptions& options_;
  const bool plain_;
  LoopCaller caller_;
  const RouteTable routes_;
  HttpServer server_;
  std::vector<int> listening_;
  std::optional<int> port_;
};

}  // namespace raftkv::server
