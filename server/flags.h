// The command line and the environment of raftkvd: the only place that knows gflags.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "server/options.h"

namespace raftkv::server {

// Reads RAFTKV_<FLAG> of known flags and then the command line, which wins. Prints the help and
// returns nullopt when it is asked for. InvalidArgument in one line: flag, value, what is allowed.
absl::StatusOr<std::optional<ServerOptions>> ParseFlags(int argc, char** argv);

}  // namespace raftkv::server
