// What `raftkvctl diff` does.
#pragma once

#include "absl/status/status.h"
#include "client/client.h"
#include "client/ctl/command_line.h"
#include "client/ctl/commands.h"

namespace raftkv::ctl {

// Prints the keys that differ between two revisions, in key order. Holds two pages of keys.
absl::Status RunDiff(const DiffCommand& command, OutputFormat format, Client& client,
                     const Terminal& terminal);

}  // namespace raftkv::ctl
