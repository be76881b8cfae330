// The arguments of raftkvctl, which CLI11 reads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "client/ctl/exit_code.h"
#include "client/types.h"

namespace raftkv::ctl {

enum class OutputFormat { kSimple, kJson, kTable };

struct GlobalOptions {
  std::vector<std::string> endpoints = {};
  OutputFormat format = OutputFormat::kSimple;
  absl::Duration command_timeout = {};  // of each request
  std::optional<TlsOptions> tls = std::nullopt;
};

struct PutCommand {
  std::string key = {};
  std::string value = {};
  bool value_from_stdin = false;
  std::optional<absl::Duration> ttl = std::nullopt;
  bool keep_ttl = false;
  int64_t lease_id = 0;  // 0: none
};

struct LeaseGrantCommand {
  absl::Duration ttl = {};
  int64_t id = 0;  // 0: any
};

struct LeaseRenewCommand {
  int64_t id = 0;
  std::optional<absl::Duration> ttl = std::nullopt;
};

struct LeaseRevokeCommand {
  int64_t id = 0;
};

struct LeaseGetCommand {
  int64_t id = 0;
  bool keys = false;
};

struct LeaseListCommand {};

struct LeaseKeepAliveCommand {
  int64_t id = 0;
  bool once = false;
};

// Also elect, whose value others read.
struct LockCommand {
  std::string name = {};
  std::string value = {};
  absl::Duration ttl = {};
  std::optional<absl::Duration> wait = std::nullopt;
  std::vector<std::string> command = {};  // empty: hold it until a signal comes
};

struct GetCommand {
  std::string key = {};
  bool prefix = false;
  bool keys_only = false;
  bool print_value_only = false;
  bool fail_missing = false;
  int64_t limit = 0;  // 0: all
  Consistency consistency = Consistency::kLinearizable;
  std::optional<absl::Duration> max_staleness = std::nullopt;
  int64_t revision = 0;  // 0: as it is
};

struct DeleteCommand {
  std::string key = {};
  bool prefix = false;
};

struct TouchCommand {
  std::string key = {};
  std::optional<absl::Duration> ttl = std::nullopt;  // unset: it does not expire any more
};

struct IncrementCommand {
  std::string key = {};
  int64_t delta = 1;
  int64_t initial = 0;
  std::optional<absl::Duration> ttl = std::nullopt;
};

struct TxnCommand {};  // what to do is read from stdin

struct MemberListCommand {};

struct MemberAddCommand {
  std::string name = {};
  std::string peer_address = {};
  bool stay_learner = false;
};

// `target` is a name, or an id where it is a number.
struct MemberRemoveCommand {
  std::string target = {};
};

struct MemberPromoteCommand {
  std::string target = {};
};

struct MemberUpdateCommand {
  std::string target = {};
  std::string peer_address = {};
};

struct MemberReplaceCommand {
  std::string name = {};
  std::string peer_address = {};  // empty: where the old one was
};

struct WatchCommand {
  std::string key = {};
  bool prefix = false;
  int64_t from = 0;  // 0: from now on
  bool prev_kv = false;
  std::string exec = {};  // empty: print
};

struct HistoryCommand {
  std::string key = {};
};

struct DiffCommand {
  int64_t from = 0;
  int64_t to = 0;
  std::string prefix = {};
  bool keys_only = false;
};

struct CompactCommand {
  int64_t revision = 0;
};

struct MoveLeaderCommand {
  std::string name = {};  // of the member that is to lead; empty: any
};

struct EndpointStatusCommand {
  bool cluster = false;  // all members' endpoints instead of --endpoints
};

struct EndpointHealthCommand {
  bool cluster = false;
};

struct EndpointHashCommand {
  bool cluster = false;
  bool scan = false;
};

struct SnapshotSaveCommand {
  std::string file = {};
  Consistency consistency = Consistency::kLinearizable;
};

struct ExportCommand {
  std::string prefix = {};
  std::string format = {};  // "json", which "" is, too; or "csv"
  Consistency consistency = Consistency::kLinearizable;
};

struct ImportCommand {
  std::string file = {};    // "-": stdin
  std::string format = {};  // "json" or "csv"; "": by the file's name
};

// What raftkvd does where no server runs.
struct OfflineCommand {
  std::vector<std::string> arguments = {};  // of `raftkvd offline`
  std::string raftkvd = {};                 // the program; empty: it is looked for
};

struct TopCommand {};

struct VersionCommand {};

using Command =
    std::variant<PutCommand, GetCommand, DeleteCommand, TouchCommand, IncrementCommand, TxnCommand,
                 WatchCommand, HistoryCommand, DiffCommand, CompactCommand, MemberListCommand,
                 MemberAddCommand, MemberRemoveCommand, MemberPromoteCommand, MemberUpdateCommand,
                 MemberReplaceCommand, MoveLeaderCommand, EndpointStatusCommand,
                 EndpointHealthCommand, EndpointHashCommand, SnapshotSaveCommand, ExportCommand,
                 ImportCommand, OfflineCommand, TopCommand, LeaseGrantCommand, LeaseRenewCommand,
                 LeaseRevokeCommand, LeaseGetCommand, LeaseListCommand, LeaseKeepAliveCommand,
                 LockCommand, VersionCommand>;

struct Invocation {
  GlobalOptions global = {};
  Command command = {};
};

// Help or a script was asked for, or the arguments are wrong: no server is asked.
struct EarlyExit {
  ExitCode code = ExitCode::kOk;
  std::string out = {};
  std::string err = {};
};

// Reads the arguments, and the environment for global options that are not among them. argv[0] is
// the program.
std::variant<Invocation, EarlyExit> ParseCommandLine(int argc, const char* const* argv);

}  // namespace raftkv::ctl
