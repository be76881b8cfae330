// What `raftkvctl lock` and `raftkvctl elect` do.
#pragma once

#include "client/client.h"
#include "client/ctl/command_line.h"
#include "client/ctl/commands.h"
#include "client/ctl/exit_code.h"

namespace raftkv::ctl {

// Waits for the lock, runs the command while it is held, and releases it; returns the command's
// exit code, 128 and the signal's number where one ended it, 127 where it cannot be run. Without a
// command it prints the holder's key and holds the lock until SIGINT, SIGTERM or SIGHUP. When the
// lock is lost meanwhile the command gets SIGTERM, and the code is kError. The signals go on to the
// command, and end the waiting.
ExitCode RunLock(const LockCommand& command, const GlobalOptions& global, Client& client,
                 const Terminal& terminal);

}  // namespace raftkv::ctl
