// The addresses that a Client is given.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace raftkv::client {

// How a client speaks to all of its endpoints.
enum class Scheme {
  kHttp,   // in plain text
  kHttps,  // by TLS
};

// `host:port` without the `http://` or `https://` that etcd's users are used to. INVALID_ARGUMENT,
// naming the text, when it is no HostPort, host or port is missing, or it begins with another
// scheme than the client's.
absl::StatusOr<std::string> ParseEndpoint(absl::string_view text, Scheme scheme = Scheme::kHttp);

// Whether it asks for TLS.
bool BeginsWithHttps(absl::string_view text);

}  // namespace raftkv::client
