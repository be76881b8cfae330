// What systemd is told of a service of Type=notify. The protocol is one datagram (sd_notify(3)), so
// no library is needed for it.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace raftkv::server {

// Sends `state`, such as "READY=1", to the socket at `address`, as NOTIFY_SOCKET has it: a path, or
// @name for one without a file. Waits while the manager's queue is full, so not for the loop.
absl::Status NotifyServiceManager(const std::string& address, const std::string& state);

}  // namespace raftkv::server
