#include "server/flags.h"

#include <gflags/gflags.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "base/version.h"

DEFINE_string(name, "default",
              "this member's name, 1 to 64 of A-Z a-z 0-9 . _ -, unique in the cluster");
DEFINE_string(data_dir, "",
              "everything the node keeps; default ./<name>.raftkv; created with mode 0700; one "
              "process at a time");
DEFINE_string(listen_client, "127.0.0.1:2379",
              "gRPC client API, reflection and health, on every address that a name has; :port is "
              "all interfaces, port 0 any port");
DEFINE_string(listen_peer, "127.0.0.1:2380", "gRPC peer API");
DEFINE_string(advertise_client, "",
              "what clients are told; default what is listened on, a wildcard becoming the host of "
              "--advertise_peer");
DEFINE_string(
    advertise_peer, "",
    "what peers dial, never a wildcard; default this name's --initial_cluster entry, else "
    "what is listened on");
DEFINE_string(initial_cluster, "",
              "n1=host:port,n2=host:port,... peer addresses, the same list on every founding node; "
              "default this node alone; once the directory holds data, only more places to look "
              "for members");
DEFINE_int64(heartbeat_interval_ms, 100, "a leader's heartbeats; 10 to 10000");
DEFINE_int64(election_timeout_ms, 1000,
             "a follower that hears nothing for a time drawn from [t, 2t) campaigns; 50 to 100000, "
             "at least 5 heartbeats");
DEFINE_int64(value_bytes_max, 1 << 20, "largest value in bytes; 1 to 3145728");
DEFINE_int64(delete_range_keys_max, 10'000, "most keys that one DeleteRange removes; 1 to 1000000");
DEFINE_int64(request_timeout_ms, 10'000, "for calls that come without a deadline; 1 to 600000");
DEFINE_bool(reflection, true,
            "describe the client API to whoever asks on the client port, as grpcurl does; the peer "
            "port never does; true or false");

namespace raftkv::server {
namespace {

struct FlagGroup {
  const char* title;
  std::vector<std::string> flags;
};

const std::vector<FlagGroup>& FlagGroups() {
  static const auto* groups = new std::vector<FlagGroup>{
      {"Member", {"name", "data_dir"}},
      {"Addresses", {"listen_client", "listen_peer", "advertise_client", "advertise_peer"}},
      {"Cluster", {"initial_cluster", "heartbeat_interval_ms", "election_timeout_ms"}},
      {"Limits", {"value_bytes_max", "delete_range_keys_max", "request_timeout_ms"}},
      {"Access", {"reflection"}}};
  return *groups;
}

bool IsOwnFlag(const std::string& name) {
  for (const FlagGroup& group : FlagGroups()) {
    for (const std::string& flag : group.flags) {
      if (flag == name) {
        return true;
      }
    }
  }
  return false;
}

// Flags that people bring along from other Raft stores, and ours for the same.
const std::map<std::string, std::string>& ForeignFlags() {
  static const auto* flags = new std::map<std::string, std::string>{
      {"id", "--name"},
      {"node-id", "--name"},
      {"addr", "--listen_client"},
      {"http", "--listen_client (gRPC; this version has no HTTP API)"},
      {"peers",
       "--initial_cluster (name=host:port of every member, this one included, with peer "
       "ports)"},
      {"raft-addr", "--listen_peer"}};
  return *flags;
}

void PrintHelp() {
  std::cout
      << "raftkvd " << kVersion
      << ": a member of a distributed, strongly consistent key-value store.\n\n"
      << "  raftkvd [--flag=value ...]\n\n"
      << "With no flags it is a working single-node store. Flags may be written with - for _.\n"
      << "The environment variable RAFTKV_<FLAG> sets a flag that the command line does not.\n";
  for (const FlagGroup& group : FlagGroups()) {
    std::cout << "\n" << group.title << ":\n";
    for (const std::string& flag : group.flags) {
      const gflags::CommandLineFlagInfo info = gflags::GetCommandLineFlagInfoOrDie(flag.c_str());
      std::cout << "  --" << flag;
      if (!info.default_value.empty()) {
        std::cout << "=" << info.default_value;
      }
      std::cout << "\n      " << info.description << "\n";
    }
  }
}

absl::Status SetFlag(const std::string& name, const std::string& value, const std::string& source) {
  if (gflags::SetCommandLineOption(name.c_str(), value.c_str()).empty()) {
    const gflags::CommandLineFlagInfo info = gflags::GetCommandLineFlagInfoOrDie(name.c_str());
    return absl::InvalidArgumentError(
        absl::StrCat(source, ": must be ", info.type == "bool" ? "true or false" : "a number",
                     "; this flag is: ", info.description));
  }
  return absl::OkStatus();
}

absl::Status ReadEnvironment() {
  for (const FlagGroup& group : FlagGroups()) {
    for (const std::string& flag : group.flags) {
      const std::string variable = absl::StrCat("RAFTKV_", absl::AsciiStrToUpper(flag));
      if (const char* value = std::getenv(variable.c_str()); value != nullptr) {
        RAFTKV_RETURN_IF_ERROR(SetFlag(flag, value, absl::StrCat(variable, "=", value)));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status ReadCommandLine(const std::vector<std::string>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!absl::StartsWith(argument, "-") || argument.size() < 2) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", argument, "\": raftkvd takes flags only; see --help"));
    }
    const std::string text = argument.substr(absl::StartsWith(argument, "--") ? 2 : 1);
    const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
    const std::string dashed = absl::StrReplaceAll(parts.first, {{"_", "-"}});
    if (const auto foreign = ForeignFlags().find(dashed); foreign != ForeignFlags().end()) {
      return absl::InvalidArgumentError(
          absl::StrCat(argument, ": is not a flag of raftkvd; use ", foreign->second));
    }
    const std::string name = absl::StrReplaceAll(parts.first, {{"-", "_"}});
    if (!IsOwnFlag(name)) {
      return absl::InvalidArgumentError(absl::StrCat(argument, ": unknown flag; see --help"));
    }
    std::string value = parts.second;
    std::string source = argument;
    if (!absl::StrContains(text, '=')) {
      if (++i == arguments.size()) {
        return absl::InvalidArgumentError(absl::StrCat(argument, ": needs a value"));
      }
      value = arguments[i];
      absl::StrAppend(&source, " ", value);
    }
    RAFTKV_RETURN_IF_ERROR(SetFlag(name, value, source));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::optional<ServerOptions>> ParseFlags(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  for (const std::string& argument : arguments) {
    if (argument == "--help" || argument == "-help" || argument == "-h") {
      PrintHelp();
      return std::nullopt;
    }
    if (argument == "--version" || argument == "-version") {
      std::cout << "raftkvd version: " << kVersion << "\n";
      return std::nullopt;
    }
  }
  RAFTKV_RETURN_IF_ERROR(ReadEnvironment());
  RAFTKV_RETURN_IF_ERROR(ReadCommandLine(arguments));
  ServerOptions options{.name = FLAGS_name,
                        .data_dir = FLAGS_data_dir,
                        .listen_client = FLAGS_listen_client,
                        .listen_peer = FLAGS_listen_peer,
                        .advertise_client = FLAGS_advertise_client,
                        .advertise_peer = FLAGS_advertise_peer,
                        .initial_cluster = FLAGS_initial_cluster,
                        .heartbeat_interval_ms = FLAGS_heartbeat_interval_ms,
                        .election_timeout_ms = FLAGS_election_timeout_ms,
                        .value_bytes_max = FLAGS_value_bytes_max,
                        .delete_range_keys_max = FLAGS_delete_range_keys_max,
                        .request_timeout_ms = FLAGS_request_timeout_ms,
                        .reflection = FLAGS_reflection};
  RAFTKV_RETURN_IF_ERROR(options.Complete());
  return options;
}

}  // namespace raftkv::server
