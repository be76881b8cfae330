#include "server/options.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status_macros.h"
#include "server/limits.h"

namespace raftkv::server {
namespace {

absl::Status CheckRange(absl::string_view flag, int64_t value, int64_t low, int64_t high) {
  if (value >= low && value <= high) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, "=", value, ": must be ", low, " to ", high));
}

absl::Status CheckAddress(absl::string_view flag, absl::string_view address, bool dialled) {
  const absl::StatusOr<HostPort> parsed = HostPort::Parse(address);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, "=", address, ": ", parsed.status().message()));
  }
  if (dialled && (parsed->IsWildcard() || parsed->port == 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--", flag, "=", address,
                     ": others must be able to dial it; give a host or address, and a port"));
  }
  return absl::OkStatus();
}

// The client and the peer API are two servers.
absl::Status CheckApart(const HostPort& client, const HostPort& peer) {
  const bool same_host = client.host == peer.host || client.IsWildcard() || peer.IsWildcard();
  if (same_host && client.port == peer.port && client.port != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--listen_peer=", peer.ToString(),
                     ": must be another address than --listen_client=", client.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsMemberName(absl::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '_' || c == '-';
  });
}

absl::StatusOr<std::vector<Founder>> ParseInitialCluster(absl::string_view text) {
  std::vector<Founder> founders;
  std::set<std::string> names;
  std::set<std::string> addresses;
  for (const absl::string_view entry : absl::StrSplit(text, ',')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(entry, absl::MaxSplits('=', 1));
    const std::string context = absl::StrCat("--initial_cluster: entry \"", entry, "\": ");
    if (!IsMemberName(parts.first)) {
      return absl::InvalidArgumentError(absl::StrCat(
          context, "must be name=host:port, the name of 1 to 64 of A-Z a-z 0-9 . _ -"));
    }
    const absl::StatusOr<HostPort> address = HostPort::Parse(parts.second);
    if (!address.ok() || address->IsWildcard() || address->port == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(context, "needs an address that the other members can dial, host:port"));
    }
    if (!names.insert(std::string(parts.first)).second) {
      return absl::InvalidArgumentError(absl::StrCat(context, "the name is there twice"));
    }
    if (!addresses.insert(address->ToString()).second) {
      return absl::InvalidArgumentError(absl::StrCat(context, "the address is there twice"));
    }
    founders.push_back(
        Founder{.name = std::string(parts.first), .peer_address = address->ToString()});
  }
  std::sort(founders.begin(), founders.end(),
            [](const Founder& a, const Founder& b) { return a.name < b.name; });
  return founders;
}

absl::Status ServerOptions::Complete() {
  if (!IsMemberName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--name=", name, ": must be 1 to 64 of A-Z a-z 0-9 . _ -"));
  }
  if (data_dir.empty()) {
    data_dir = absl::StrCat("./", name, ".raftkv");
  }
  RAFTKV_RETURN_IF_ERROR(CheckAddress("listen_client", listen_client, /*dialled=*/false));
  RAFTKV_RETURN_IF_ERROR(CheckAddress("listen_peer", listen_peer, /*dialled=*/false));
  RAFTKV_RETURN_IF_ERROR(
      CheckApart(*HostPort::Parse(listen_client), *HostPort::Parse(listen_peer)));
  if (!advertise_client.empty()) {
    RAFTKV_RETURN_IF_ERROR(CheckAddress("advertise_client", advertise_client, /*dialled=*/true));
  }
  if (!advertise_peer.empty()) {
    RAFTKV_RETURN_IF_ERROR(CheckAddress("advertise_peer", advertise_peer, /*dialled=*/true));
  }
  RAFTKV_RETURN_IF_ERROR(CheckRange("heartbeat_interval_ms", heartbeat_interval_ms, 10, 10'000));
  RAFTKV_RETURN_IF_ERROR(CheckRange("election_timeout_ms", election_timeout_ms, 50, 100'000));
  if (election_timeout_ms < 5 * heartbeat_interval_ms) {
    return absl::InvalidArgumentError(absl::StrCat("--election_timeout_ms=", election_timeout_ms,
                                                   ": must be at least 5 times "
                                                   "--heartbeat_interval_ms=",
                                                   heartbeat_interval_ms));
  }
  RAFTKV_RETURN_IF_ERROR(CheckRange("value_bytes_max", value_bytes_max, 1,
                                    static_cast<int64_t>(kv::kValueBytesMaxCeiling)));
  RAFTKV_RETURN_IF_ERROR(CheckRange("delete_range_keys_max", delete_range_keys_max, 1, 1'000'000));
  RAFTKV_RETURN_IF_ERROR(CheckRange("request_timeout_ms", request_timeout_ms, 1, 600'000));
  if (!initial_cluster.empty()) {
    absl::StatusOr<std::vector<Founder>> founders = ParseInitialCluster(initial_cluster);
    if (!founders.ok()) {
      return founders.status();
    }
  }
  return absl::OkStatus();
}

}  // namespace raftkv::server
