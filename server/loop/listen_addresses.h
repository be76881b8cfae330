// The addresses of this machine that one --listen_... flag means.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/host_port.h"

namespace raftkv::server {

struct SocketAddress;

// Finds them and holds them, without listening, until gRPC or Listen does. gRPC itself is content
// with one of the addresses that a name means, says nothing of the others, and does not tell why it
// has none. Confined to one thread.
class ListenAddresses final {
 public:
  // Resolves a name, which blocks, and takes every address that it has; for a wildcard, every
  // interface with IPv4 and IPv6. Port 0 is one free port for all of them. An address of a family
  // of which the machine has no address at all is left out, unless it is the only one. An error
  // names the address that cannot be had and says why in the system's words.
  static absl::StatusOr<std::unique_ptr<ListenAddresses>> Take(const HostPort& address);
  ~ListenAddresses();
  ListenAddresses(const ListenAddresses&) = delete;
  ListenAddresses& operator=(const ListenAddresses&) = delete;

  // Listens on all of them, and hands the sockets over, which do not block: for what is not gRPC's.
  absl::StatusOr<std::vector<int>> Listen(int backlog);

  // Never empty; in numbers, each with port().
  const std::vector<std::string>& addresses() const { return addresses_; }
  int port() const { return port_; }
  // Addresses of the name that were left out.
  const std::vector<std::string>& left_out() const { return left_out_; }

 private:
  ListenAddresses() = default;
  // Takes all of these at port_, or some of them and fails.
  absl::Status Hold(const std::vector<SocketAddress>& wanted);

  std::vector<int> fds_;
  std::vector<std::string> addresses_;
  std::vector<std::string> left_out_;
  int port_ = 0;
};

}  // namespace raftkv::server
