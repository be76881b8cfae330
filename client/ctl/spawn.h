// Programs that raftkvctl runs.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace raftkv::ctl {

// Starts a program, looked for in PATH, with raftkvctl's own streams, and with `variables`
// ("NAME=VALUE") added to its environment. NOT_FOUND or INTERNAL when that cannot be done.
absl::StatusOr<pid_t> Spawn(std::vector<std::string> arguments, std::vector<std::string> variables);

// Waits until it ends; returns its status as waitpid has it.
int AwaitExit(pid_t pid);

}  // namespace raftkv::ctl
