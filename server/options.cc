#include "server/options.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/byte_size.h"
#include "base/status_macros.h"
#include "raft/core/config.h"
#include "server/limits.h"
#include "server/tls/tls_files.h"

namespace raftkv::server {
namespace {

// What IsMemberName takes.
constexpr char kMemberNames[] = "1 to 64 of A-Z a-z 0-9 . _ -";
constexpr char kConsoleModes[] = "on, readonly or off";

absl::Status Refusal(absl::string_view flag, const absl::AlphaNum& value, absl::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, "=", value, ": ", rule));
}

std::string Range(const Option::Number& number) {
  return absl::StrCat(number.low, " to ", number.high);
}

absl::Status CheckNumber(absl::string_view flag, const Option::Number& number,
                         const ServerOptions& options) {
  const int64_t value = options.*number.field;
  if (value < number.low || value > number.high) {
    return Refusal(flag, value, absl::StrCat("must be ", Range(number)));
  }
  if (value < number.heartbeats_min * options.heartbeat_interval_ms) {
    return Refusal(flag, value,
                   absl::StrCat("must be at least ", number.heartbeats_min,
                                " times --heartbeat_interval_ms=", options.heartbeat_interval_ms));
  }
  return absl::OkStatus();
}

std::string Range(const Option::Size& size) {
  return absl::StrCat(size.or_zero ? "0, or " : "", FormatByteSize(size.low), " to ",
                      FormatByteSize(size.high), ", in bytes or with KiB, MiB, GiB or TiB");
}

absl::Status CheckSize(absl::string_view flag, const Option::Size& size,
                       const ServerOptions& options) {
  const int64_t value = options.*size.field;
  const bool is_allowed_zero = size.or_zero && value == 0;
  if ((value < size.low && !is_allowed_zero) || value > size.high) {
    const std::string text = value < 0 ? absl::StrCat(value) : FormatByteSize(value);
    return Refusal(flag, text, absl::StrCat("must be ", Range(size)));
  }
  return absl::OkStatus();
}

absl::Status CheckAddress(absl::string_view flag, absl::string_view address, bool dialled) {
  const absl::StatusOr<HostPort> parsed = HostPort::Parse(address);
  if (!parsed.ok()) {
    return Refusal(flag, address, parsed.status().message());
  }
  if (dialled && (parsed->IsWildcard() || parsed->port == 0)) {
    return Refusal(flag, address,
                   "others must be able to dial it; give a host or address, and a port");
  }
  return absl::OkStatus();
}

// Each API is a server of its own. The values are those of the flags, well formed.
absl::Status CheckApart(absl::string_view flag, absl::string_view value,
                        absl::string_view other_flag, absl::string_view other_value) {
  const HostPort one = *HostPort::Parse(value);
  const HostPort other = *HostPort::Parse(other_value);
  const bool same_host = one.host == other.host || one.IsWildcard() || other.IsWildcard();
  if (same_host && one.port == other.port && one.port != 0) {
    return Refusal(
        flag, one.ToString(),
        absl::StrCat("must be another address than --", other_flag, "=", other.ToString()));
  }
  return absl::OkStatus();
}

// Adds what TLS is made of (server/tls/tls_files.h).
const std::vector<Option>* WithTls(std::vector<Option>* rows) {
  using Text = Option::Text;
  const std::vector<Option> more = {
      {"TLS", "cert_file",
       "certificate of the client port, and what leads from it to a CA, in PEM; with it the ports "
       "speak TLS only; it, and all files of TLS, are read again when they change",
       Text{&ServerOptions::cert_file, ""}},
      {"TLS", "key_file", "private key of --cert_file, in PEM, without a password",
       Text{&ServerOptions::key_file, ""}},
      {"TLS", "trusted_ca_file", "CAs of the certificates of clients and of members, in PEM",
       Text{&ServerOptions::trusted_ca_file, ""}},
      {"TLS", "client_cert_auth", "refuse clients without a certificate of --trusted_ca_file",
       Option::Switch{&ServerOptions::client_cert_auth, false}},
      {"TLS", "peer_cert_file",
       "the same for the peer port and for what this member shows to others; it must be for "
       "DNS:<name>; default --cert_file",
       Text{&ServerOptions::peer_cert_file, ""}},
      {"TLS", "peer_key_file", "private key of --peer_cert_file",
       Text{&ServerOptions::peer_key_file, ""}},
      {"TLS", "peer_trusted_ca_file", "default --trusted_ca_file",
       Text{&ServerOptions::peer_trusted_ca_file, ""}},
      {"TLS", "peer_client_cert_auth",
       "true or false: refuse members without a certificate for their name; default "
       "--client_cert_auth",
       Text{&ServerOptions::peer_client_cert_auth, ""}},
      {"TLS", "http_cert_file", "the same for the HTTP port; default --cert_file",
       Text{&ServerOptions::http_cert_file, ""}},
      {"TLS", "http_key_file", "private key of --http_cert_file",
       Text{&ServerOptions::http_key_file, ""}},
      {"TLS", "http_trusted_ca_file", "default --trusted_ca_file",
       Text{&ServerOptions::http_trusted_ca_file, ""}},
      {"TLS", "http_client_cert_auth", "true or false; default --client_cert_auth",
       Text{&ServerOptions::http_client_cert_auth, ""}}};
  rows->insert(rows->end(), more.begin(), more.end());
  return rows;
}

}  // namespace

std::string Option::Help() const {
  if (const auto* number = std::get_if<Number>(&value); number != nullptr) {
    const std::string range = absl::StrCat(meaning, "; ", Range(*number));
    return number->heartbeats_min == 0
               ? range
               : absl::StrCat(range, ", at least ", number->heartbeats_min, " heartbeats");
  }
  if (const auto* size = std::get_if<Size>(&value); size != nullptr) {
    return absl::StrCat(meaning, "; ", Range(*size));
  }
  return std::holds_alternative<Switch>(value) ? absl::StrCat(meaning, "; true or false") : meaning;
}

std::string Option::TextIn(const ServerOptions& options) const {
  if (const auto* text = std::get_if<Text>(&value); text != nullptr) {
    return options.*text->field;
  }
  if (const auto* size = std::get_if<Size>(&value); size != nullptr) {
    return FormatByteSize(options.*size->field);
  }
  if (const auto* number = std::get_if<Number>(&value); number != nullptr) {
    return absl::StrCat(options.*number->field);
  }
  return options.*std::get<Switch>(value).field ? "true" : "false";
}

const std::vector<Option>& Option::Table() {
  static const auto* table = WithTls(new std::vector<Option>{
      {"Member", "name",
       absl::StrCat("this member's name, ", kMemberNames, ", unique in the cluster"),
       Text{&ServerOptions::name, "default"}},
      {"Member", "data_dir",
       "everything the node keeps; default ./<name>.raftkv; created with mode 0700; one process at "
       "a time",
       Text{&ServerOptions::data_dir, ""}},
      {"Member", "config",
       "a YAML file with lines of `flag: value`, names as here; the environment wins over it, and "
       "the command line over both",
       Text{&ServerOptions::config, ""}},
      {"Addresses", "listen_client",
       "gRPC client API, reflection and health, on every address that a name has; :port is all "
       "interfaces, port 0 any port",
       Text{&ServerOptions::listen_client, "127.0.0.1:2379"}},
      {"Addresses", "listen_peer", "gRPC peer API",
       Text{&ServerOptions::listen_peer, "127.0.0.1:2380"}},
      {"Addresses", "listen_http",
       "the client API as HTTP and JSON, and status pages; empty is off",
       Text{&ServerOptions::listen_http, "127.0.0.1:8080"}},
      {"Addresses", "advertise_client",
       "what clients are told; default what is listened on, a wildcard becoming the host of "
       "--advertise_peer",
       Text{&ServerOptions::advertise_client, ""}},
      {"Addresses", "advertise_peer",
       "what peers dial, never a wildcard; default this name's --initial_cluster entry, else what "
       "is listened on",
       Text{&ServerOptions::advertise_peer, ""}},
      {"Cluster", "initial_cluster",
       "n1=host:port,n2=host:port,... peer addresses, the same list on every founding node; "
       "default this node alone; once the directory holds data, only more places to look for "
       "members",
       Text{&ServerOptions::initial_cluster, ""}},
      {"Cluster", "join",
       "host:port,... peer addresses of members of a running cluster, one of which is asked to add "
       "this node as a new member; without a meaning once the directory holds data",
       Text{&ServerOptions::join, ""}},
      {"Cluster", "wait_for_invite",
       "start empty, and become a member of the first cluster that adds this node (raftkvctl "
       "member "
       "add); without a meaning once the directory holds data",
       Switch{&ServerOptions::wait_for_invite, false}},
      {"Cluster", "auto_replace",
       "on every member: the leader replaces one that comes back without its data, under its name "
       "and certificate, by itself; needs TLS with --peer_client_cert_auth",
       Switch{&ServerOptions::auto_replace, false}},
      {"Cluster", "heartbeat_interval_ms", "a leader's heartbeats",
       Number{&ServerOptions::heartbeat_interval_ms, 100, 10, 10'000}},
      {"Cluster", "election_timeout_ms",
       "a follower that hears nothing for a time drawn from [t, 2t) campaigns",
       Number{&ServerOptions::election_timeout_ms, 1000, 50, 100'000, /*heartbeats_min=*/5}},
      {"Cluster", "priority",
       "how much this member is wanted to lead: leadership goes to the highest that keeps up, "
       "and to a member with 0 only where no other can",
       Number{&ServerOptions::priority, raft::kPriorityDefault, 0, raft::kPriorityMax}},
      {"Limits", "value_bytes_max", "largest value in bytes",
       Number{&ServerOptions::value_bytes_max, 1 << 20, 1, kv::kValueBytesMaxCeiling}},
      {"Limits", "delete_range_keys_max", "most keys that one DeleteRange removes",
       Number{&ServerOptions::delete_range_keys_max, 10'000, 1, 1'000'000}},
      {"Limits", "request_timeout_ms", "for calls that come without a deadline",
       Number{&ServerOptions::request_timeout_ms, 10'000, 1, 600'000}},
      {"Limits", "memory_bytes_max",
       "what the node plans to hold in memory: cache, write buffers, the log's newest entries and "
       "requests share it",
       Size{&ServerOptions::memory_bytes_max, int64_t{256} << 20, int64_t{64} << 20,
            int64_t{16} << 40}},
      {"Limits", "log_bytes_max",
       "what the Raft log may take on disk; beyond it the oldest entries go, and a member that "
       "lacks them is brought a snapshot",
       Size{&ServerOptions::log_bytes_max, int64_t{1} << 30, int64_t{1} << 20, int64_t{64} << 40}},
      {"Limits", "disk_reserve_bytes",
       "free space on the disk of --data_dir below which the cluster refuses puts, so that deletes "
       "still find room; less than 1GiB makes RocksDB work in smaller pieces; 0 is 1GiB or 5 % of "
       "the disk, whichever is less",
       Size{&ServerOptions::disk_reserve_bytes, 0, int64_t{16} << 20, int64_t{1} << 40,
            /*or_zero=*/true}},
      {"Access", "reflection",
       "describe the client API to whoever asks on the client port, as grpcurl does; the peer port "
       "never does",
       Switch{&ServerOptions::reflection, true}},
      {"Access", "console",
       absl::StrCat("the pages for people at / of the HTTP port, ", kConsoleModes,
                    "; readonly ones offer no edits, and writes that come from a page are refused"),
       Text{&ServerOptions::console, "on"}}});
  return *table;
}

ServerOptions::ServerOptions() {
  for (const Option& option : Option::Table()) {
    std::visit([this](const auto& value) { this->*value.field = value.default_value; },
               option.value);
  }
}

std::string ServerOptions::SourceOf(const std::string& option) const {
  const auto found = sources.find(option);
  return found == sources.end() ? "default" : found->second;
}

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
      return absl::InvalidArgumentError(
          absl::StrCat(context, "must be name=host:port, the name of ", kMemberNames));
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

absl::StatusOr<std::vector<std::string>> ParseAddressList(absl::string_view text) {
  std::vector<std::string> addresses;
  for (const absl::string_view entry : absl::StrSplit(text, ',', absl::SkipEmpty())) {
    const absl::StatusOr<HostPort> address = HostPort::Parse(entry);
    if (!address.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(entry, ": ", address.status().message()));
    }
    if (address->IsWildcard() || address->port == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(entry, ": this node must be able to dial it; give a host and a port"));
    }
    addresses.push_back(address->ToString());
  }
  return addresses;
}

absl::Status ServerOptions::Complete() {
  if (!IsMemberName(name)) {
    return Refusal("name", name, absl::StrCat("must be ", kMemberNames));
  }
  if (data_dir.empty()) {
    data_dir = absl::StrCat("./", name, ".raftkv");
  }
  RAFTKV_RETURN_IF_ERROR(CheckAddress("listen_client", listen_client, /*dialled=*/false));
  RAFTKV_RETURN_IF_ERROR(CheckAddress("listen_peer", listen_peer, /*dialled=*/false));
  RAFTKV_RETURN_IF_ERROR(CheckApart("listen_peer", listen_peer, "listen_client", listen_client));
  if (!listen_http.empty()) {
    RAFTKV_RETURN_IF_ERROR(CheckAddress("listen_http", listen_http, /*dialled=*/false));
    RAFTKV_RETURN_IF_ERROR(CheckApart("listen_http", listen_http, "listen_client", listen_client));
    RAFTKV_RETURN_IF_ERROR(CheckApart("listen_http", listen_http, "listen_peer", listen_peer));
  }
  if (!advertise_client.empty()) {
    RAFTKV_RETURN_IF_ERROR(CheckAddress("advertise_client", advertise_client, /*dialled=*/true));
  }
  if (!advertise_peer.empty()) {
    RAFTKV_RETURN_IF_ERROR(CheckAddress("advertise_peer", advertise_peer, /*dialled=*/true));
  }
  if (console != "on" && console != "readonly" && console != "off") {
    return Refusal("console", console, absl::StrCat("must be ", kConsoleModes));
  }
  for (const Option& option : Option::Table()) {
    if (const auto* number = std::get_if<Option::Number>(&option.value); number != nullptr) {
      RAFTKV_RETURN_IF_ERROR(CheckNumber(option.name, *number, *this));
    }
    if (const auto* size = std::get_if<Option::Size>(&option.value); size != nullptr) {
      RAFTKV_RETURN_IF_ERROR(CheckSize(option.name, *size, *this));
    }
  }
  RAFTKV_RETURN_IF_ERROR(CheckTlsFlags(*this));
  const TlsFiles peer_tls = PeerTlsFiles(*this);
  if (auto_replace && !(peer_tls.on() && peer_tls.client_cert_auth)) {
    return Refusal("auto_replace", "true",
                   "needs --peer_cert_file and --peer_client_cert_auth=true, or --cert_file and "
                   "--client_cert_auth=true: without certificates whoever reaches the peer port "
                   "could take a member's place");
  }
  if (const auto addresses = ParseAddressList(join); !addresses.ok()) {
    return Refusal("join", join, addresses.status().message());
  }
  return initial_cluster.empty() ? absl::OkStatus() : ParseInitialCluster(initial_cluster).status();
}

}  // namespace raftkv::server
