// What `raftkvctl watch` and `raftkvctl history` do.
#pragma once

#include "absl/status/status.h"
#include "client/client.h"
#include "client/ctl/command_line.h"
#include "client/ctl/commands.h"

namespace raftkv::ctl {

// Prints events, or runs a command for each, until it cannot go on, stdout is closed, or a command
// fails.
absl::Status RunWatch(const WatchCommand& command, OutputFormat format, Client& client,
                      const Terminal& terminal);
// Prints the events of a key that the history still has.
absl::Status RunHistory(const HistoryCommand& command, OutputFormat format, Client& client,
                        const Terminal& terminal);

}  // namespace raftkv::ctl
