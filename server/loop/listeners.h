// What the two ports take from whoever connects, before any of our services sees it: where they
// listen, what a connection may send and hold, and which services of gRPC's own they offer.
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/loop/listen_addresses.h"
#include "server/options.h"
#include "server/tls/port_tls.h"

namespace raftkv::server {

// Each sets up one port but for its services and its addresses. Called once per builder.
void SetUpClientPort(const ServerOptions& options, grpc::ServerBuilder* builder);
void SetUpPeerPort(const ServerOptions& options, grpc::ServerBuilder* builder);

// The largest request that the client port takes.
uint64_t ClientMessageBytesMax(const ServerOptions& options);

// Takes every address that `address`, the value of --`flag`, means: all or none. An error is one
// line that names flag, value, and what is in the way. Addresses that are left out
// (listen_addresses.h) are logged.
absl::StatusOr<std::unique_ptr<ListenAddresses>> TakeAddresses(const std::string& flag,
                                                               const std::string& address);

// A server that listens, and on which port.
struct StartedServer {
  std::unique_ptr<grpc::Server> server;
  int port = 0;
};

// Starts a server on every address of TakeAddresses, and fails as that does. `tls` null: plain
// text.
absl::StatusOr<StartedServer> StartListening(const std::string& flag, const std::string& address,
                                             std::shared_ptr<PortTls> tls,
                                             grpc::ServerBuilder* builder);

// Logs a warning when a port without TLS can be reached from other machines.
void WarnOfPlaintext(const std::string& flag, const std::string& address,
                     const ListenAddresses& taken);

}  // namespace raftkv::server
