#include "client/endpoint.h"

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace raftkv::client {
namespace {

bool IsBareHost(absl::string_view host) {
  for (const char c : host) {
    if (absl::ascii_isspace(c) || c == '/' || c == ':' || c == ',') {
      return false;
    }
  }
  return !host.empty();
}

bool IsBracketedIpv6(absl::string_view host) {
  return host.size() > 2 && host.front() == '[' && host.back() == ']';
}

}  // namespace

absl::StatusOr<std::string> ParseEndpoint(absl::string_view text) {
  absl::string_view address = absl::StripAsciiWhitespace(text);
  if (absl::StartsWith(address, "https://")) {
    return absl::InvalidArgumentError(
        absl::StrCat("endpoint \"", text, "\": TLS is not supported, use host:port"));
  }
  absl::ConsumePrefix(&address, "http://");
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("endpoint \"", text, "\" has no port, use host:port"));
  }
  const absl::string_view host = address.substr(0, colon);
  uint32_t port = 0;
  if (!absl::SimpleAtoi(address.substr(colon + 1), &port) || port == 0 || port > 65535) {
    return absl::InvalidArgumentError(
        absl::StrCat("endpoint \"", text, "\": the port must be 1 to 65535"));
  }
  if (!IsBareHost(host) && !IsBracketedIpv6(host)) {
    return absl::InvalidArgumentError(
        absl::StrCat("endpoint \"", text, "\" has no usable host, use host:port"));
  }
  return absl::StrCat(host, ":", port);
}

}  // namespace raftkv::client
