// The options in force, and where each is from, for people to read.
#pragma once

#include <string>

#include "server/options.h"

namespace raftkv::server {

// A line for the log: what somebody has set, and the defaults.
std::string DescribeConfiguration(const ServerOptions& options);

// A file that --config takes, and that means the same; where each value is from stands behind it.
std::string WriteConfiguration(const ServerOptions& options);

}  // namespace raftkv::server
