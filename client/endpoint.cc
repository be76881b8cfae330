#include "client/endpoint.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/host_port.h"

namespace raftkv::client {
namespace {

constexpr absl::string_view kHttpPrefix = "http://";
constexpr absl::string_view kHttpsPrefix = "https://";

}  // namespace

bool BeginsWithHttps(absl::string_view text) {
  return absl::StartsWith(absl::StripAsciiWhitespace(text), kHttpsPrefix);
}

absl::StatusOr<std::string> ParseEndpoint(absl::string_view text, Scheme scheme) {
  absl::string_view address = absl::StripAsciiWhitespace(text);
  const bool tls = scheme == Scheme::kHttps;
  if (absl::StartsWith(address, tls ? kHttpPrefix : kHttpsPrefix)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "endpoint \"", text, "\": ",
        tls ? "the client speaks TLS, so use https:// or none" : "the client speaks no TLS"));
  }
  absl::ConsumePrefix(&address, tls ? kHttpsPrefix : kHttpPrefix);
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
