// The addresses that a Client is given.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace raftkv::client {

// `host:port` without the `http://` that etcd's users are used to. INVALID_ARGUMENT, naming the
// text, when it is no HostPort, host or port is missing, or it asks for `https://`.
absl::StatusOr<std::string> ParseEndpoint(absl::string_view text);

}  // namespace raftkv::client
