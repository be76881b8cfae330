// An address as people write it: a host and a port.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace raftkv {

// host:port; an empty host is every interface. Thread-safe as a value is.
struct HostPort {
  std::string host;
  int port = 0;

  // InvalidArgument unless it is host:port, [v6]:port or :port, with a port from 0 to 65535.
  static absl::StatusOr<HostPort> Parse(absl::string_view text);
  std::string ToString() const;
  // Whether it names no interface that somebody else could dial.
  bool IsWildcard() const;
};

}  // namespace raftkv
