// Why an address cannot be listened on; gRPC only tells that it cannot.
#pragma once

#include <string>

#include "server/options.h"

namespace raftkv::server {

// Tries `address` without gRPC and returns the system's words, such as "Address already in use".
// Leaves nothing behind. Thread-safe.
std::string WhyCannotListen(const HostPort& address);

}  // namespace raftkv::server
