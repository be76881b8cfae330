#include "base/host_port.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace raftkv {

absl::StatusOr<HostPort> HostPort::Parse(absl::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) {
    return absl::InvalidArgumentError("must be host:port");
  }
  absl::string_view host = text.substr(0, colon);
  const bool bracketed = absl::StartsWith(host, "[") && absl::EndsWith(host, "]");
  if (bracketed) {
    host = host.substr(1, host.size() - 2);
  }
  const bool well_formed = std::all_of(host.begin(), host.end(), [bracketed](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_' ||
           (bracketed && (c == ':' || c == '%'));
  });
  // What is written in brackets is printed in brackets.
  if (!well_formed || (bracketed && !absl::StrContains(host, ':'))) {
    return absl::InvalidArgumentError("must be host:port, or [address]:port for IPv6");
  }
  HostPort result{.host = std::string(host), .port = 0};
  int port = -1;
  const absl::string_view digits = text.substr(colon + 1);
  // SimpleAtoi would also take signs and blanks.
  const bool number = std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
  if (!number || !absl::SimpleAtoi(digits, &port) || port > 65535) {
    return absl::InvalidArgumentError("the port must be 0 to 65535");
  }
  result.port = port;
  return result;
}

std::string HostPort::ToString() const {
  return absl::StrContains(host, ':') ? absl::StrCat("[", host, "]:", port)
                                      : absl::StrCat(host, ":", port);
}

bool HostPort::IsWildcard() const { return host.empty() || host == "0.0.0.0" || host == "::"; }

}  // namespace raftkv
