// What a server is told at start, from whatever source.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
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

// The meaning, unit, default and bounds of each: Option::Table().
struct ServerOptions {
  ServerOptions();  // The defaults.

  std::string name;
  std::string data_dir;
  std::string config;
  std::string listen_client;
  std::string listen_peer;
  std::string listen_http;
  std::string advertise_client;
  std::string advertise_peer;
  std::string initial_cluster;
  std::string join;
  bool wait_for_invite = false;
  bool auto_replace = false;
  int64_t heartbeat_interval_ms = 0;
  int64_t election_timeout_ms = 0;
  int64_t priority = 0;
  int64_t value_bytes_max = 0;
  int64_t delete_range_keys_max = 0;
  int64_t request_timeout_ms = 0;
  int64_t memory_bytes_max = 0;
  int64_t log_bytes_max = 0;
  int64_t disk_reserve_bytes = 0;
  bool reflection = false;
  std::string console;
  std::string cert_file;
  std::string key_file;
  std::string trusted_ca_file;
  bool client_cert_auth = false;
  // Empty: as the client port's. What a port's TLS is then: server/tls/tls_files.h.
  std::string peer_cert_file;
  std::string peer_key_file;
  std::string peer_trusted_ca_file;
  std::string peer_client_cert_auth;
  std::string http_cert_file;
  std::string http_key_file;
  std::string http_trusted_ca_file;
  std::string http_client_cert_auth;

  // By an option's name, where its value is from: "flag", "environment" or "file PATH:LINE:COLUMN".
  // What is not here has its default.
  std::map<std::string, std::string> sources;

  // "default" for what nobody has set.
  std::string SourceOf(const std::string& option) const;

  // Whether it is to become a member of a cluster that runs.
  bool Joins() const { return wait_for_invite || !join.empty(); }

  // Fills what is derived (data_dir) and checks the rest. InvalidArgument in one line: flag, value,
  // what is allowed.
  absl::Status Complete();
};

// All that whoever reads or explains an option needs to know of it.
struct Option {
  template <typename T>
  struct Plain {
    T ServerOptions::*field;
    T default_value;
  };
  using Text = Plain<std::string>;
  using Switch = Plain<bool>;
  struct Number {
    int64_t ServerOptions::*field;
    int64_t default_value;
    int64_t low;
    int64_t high;
    int64_t heartbeats_min = 0;  // And at least so many of --heartbeat_interval_ms.
  };
  // Bytes, which people write as "512MiB" (base/byte_size.h).
  struct Size {
    int64_t ServerOptions::*field;
    int64_t default_value;
    int64_t low;
    int64_t high;
    bool or_zero = false;  // 0, which is less than `low`, has a meaning of its own.
  };

  std::string group;
  std::string name;
  std::string meaning;
  std::variant<Text, Number, Size, Switch> value;

  // The meaning, and what the value may be unless it is a text.
  std::string Help() const;
  // Its value there, as somebody would write it.
  std::string TextIn(const ServerOptions& options) const;

  // Every option, those of a group together.
  static const std::vector<Option>& Table();
};

// Names of members: [A-Za-z0-9._-]{1,64}.
bool IsMemberName(absl::string_view name);

// Parses "host:port,host:port,...", which may be empty. InvalidArgument names the entry and the
// rule: addresses can be dialled.
absl::StatusOr<std::vector<std::string>> ParseAddressList(absl::string_view text);

// Parses "n1=host:port,n2=host:port,...", sorted by name. InvalidArgument names the entry and the
// rule: names and addresses are well formed and unique, addresses can be dialled.
absl::StatusOr<std::vector<Founder>> ParseInitialCluster(absl::string_view text);

}  // namespace raftkv::server
