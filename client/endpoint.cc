#include "client/endpoint.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/host_port.h"

namespace raftkv::client {
absl::StatusOr<std::string> ParseEndpoint(absl::string_view text) {
  absl::string_view address = absl::StripAsciiWhitespace(text);
  if (absl::StartsWith(address, "https://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("endpoint \"", text, "\": TLS is not supported, use host:port"));
  }
  absl::ConsumePrefix(&address, "http://");
  const absl::StatusOr<HostPort> parsed = HostPort::Parse(address);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("endpoint \"", text, "\": ", parsed.status().message()));
  }
  if (parsed->host.empty() || parsed->port == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("endpoint \"", text, "\": needs a host, and a port from 1 to 65535"));
  }
  return parsed->ToString();
}

}  // namespace raftkv::client
