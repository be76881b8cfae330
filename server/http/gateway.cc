#include "server/http/gateway.h"

#include <glog/logging.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "server/http/config_route.h"
#include "server/http/console_routes.h"
#include "server/http/kv_routes.h"
#include "server/http/rpc_routes.h"
#include "server/http/status_routes.h"
#include "server/limits.h"
#include "server/loop/listen_addresses.h"
#include "server/loop/listeners.h"

namespace raftkv::server {
namespace {

std::vector<Route> AllRoutes(const ServerOptions& options, LoopCaller* caller,
                             MetricsPage metrics) {
  std::vector<Route> routes = KvRoutes(caller);
  routes.push_back(ConfigRoute(options));
  for (Route& route : StatusRoutes(caller, std::move(metrics))) {
    routes.push_back(std::move(route));
  }
  for (Route& route : ConsoleRoutes(options.console)) {
    routes.push_back(std::move(route));
  }
  for (const auto& [path, method] : caller->methods()) {
    routes.push_back(RpcRoute(method, caller));
  }
  return routes;
}

}  // namespace

Gateway::Gateway(const ServerOptions& options, const std::vector<ClientService*>& services,
                 std::shared_ptr<PortTls> tls, EventLoop* loop, CallAccounting* accounting,
                 const MonotonicClock* clock, MetricsPage metrics)
    : options_(options),
      plain_(tls == nullptr),
      caller_(services, loop, accounting, clock),
      routes_(AllRoutes(options, &caller_, std::move(metrics)),
              options.console == "readonly" ? PagesMay::kRead : PagesMay::kWrite),
      server_({.threads = kHttpThreads,
               .waiting_max = kHttpWaitingMax,
               .body_bytes_max = ClientMessageBytesMax(options),
               .bodies_bytes_max = kHttpBodiesBytesMax},
              this, std::move(tls)) {}

absl::Status Gateway::Listen() {
  if (options_.listen_http.empty()) {
    return absl::OkStatus();
  }
  RAFTKV_ASSIGN_OR_RETURN(const std::unique_ptr<ListenAddresses> addresses,
                          TakeAddresses("listen_http", options_.listen_http));
  if (plain_) {
    WarnOfPlaintext("listen_http", options_.listen_http, *addresses);
  }
  auto sockets = addresses->Listen(kHttpBacklog);
  if (!sockets.ok()) {
    return absl::UnavailableError(
        absl::StrCat("--listen_http=", options_.listen_http, ": ", sockets.status().message()));
  }
  listening_ = *std::move(sockets);
  port_ = addresses->port();
  return absl::OkStatus();
}

void Gateway::Start() {
  if (!listening_.empty()) {
    server_.Start(std::exchange(listening_, {}));
  }
}

void Gateway::Stop() {
  caller_.Close();
  server_.Stop();
}

std::optional<HttpAnswer> Gateway::Refuse(const HttpRequest& head) { return routes_.Refuse(head); }

HttpAnswer Gateway::Handle(const HttpRequest& request) { return routes_.Handle(request); }

}  // namespace raftkv::server
