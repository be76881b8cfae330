// The composition root: puts one member together, runs it, and takes it apart in the reverse order.
#pragma once

#include "server/options.h"

namespace raftkv::server {

// Runs a member until SIGTERM or SIGINT and returns the exit code: 0 after a clean stop, 1 when an
// address cannot be listened on, 2 when the data directory cannot be used. REQUIRES: it is called
// from the only thread, with AwaitedSignals (startup_signals.h) blocked.
int RunServer(const ServerOptions& options);

}  // namespace raftkv::server
