// What a server is told at start, from whatever source.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/host_port.h"

namespace raftkv::server {

// One entry of --initial_cluster.
struct Founder {
  std::string name;
  std::string peer_address;

  friend bool operator==(const Founder&, const Founder&) = default;
};

// The meaning, unit and default of each: server/flags.cc, which prints them with --help.
struct ServerOptions {
  std::string name = "default";
  std::string data_dir;  // Empty: ./<name>.raftkv.
  std::string listen_client = "127.0.0.1:2379";
  std::string listen_peer = "127.0.0.1:2380";
  std::string advertise_client;
  std::string advertise_peer;
  std::string initial_cluster;
  int64_t heartbeat_interval_ms = 100;
  int64_t election_timeout_ms = 1000;
  int64_t value_bytes_max = 1 << 20;
  int64_t delete_range_keys_max = 10'000;
  int64_t request_timeout_ms = 10'000;
  bool reflection = true;

  // Fills what is derived (data_dir) and checks the rest. InvalidArgument in one line: flag, value,
  // what is allowed.
  absl::Status Complete();
};

// Names of members: [A-Za-z0-9._-]{1,64}.
bool IsMemberName(absl::string_view name);

// Parses "n1=host:port,n2=host:port,...", sorted by name. InvalidArgument names the entry and the
// rule: names and addresses are well formed and unique, addresses can be dialled.
absl::StatusOr<std::vector<Founder>> ParseInitialCluster(absl::string_view text);

}  // namespace raftkv::server
