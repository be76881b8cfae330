// The command line, the environment and the file of raftkvd: the only place that knows gflags.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "server/options.h"

namespace raftkv::server {

// Reads the file that --config names, RAFTKV_<FLAG> of known flags, and the command line; the later
// one wins, and the text of each goes through one parser. Prints the help, the version or, when
// all is well with it, the configuration, and returns nullopt when that is asked for.
// InvalidArgument in one line: where it stands, flag, value, what is allowed.
absl::StatusOr<std::optional<ServerOptions>> ParseFlags(int argc, char** argv);

}  // namespace raftkv::server
