#include "server/tls/tls_files.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status_macros.h"

namespace raftkv::server {
namespace {

using Text = std::string ServerOptions::*;

// The flags of a port that may be as the client port's.
struct PortFlags {
  absl::string_view prefix;
  Text cert_file;
  Text key_file;
  Text trusted_ca_file;
  Text client_cert_auth;
};

constexpr PortFlags kPeerFlags = {
    "peer_", &ServerOptions::peer_cert_file, &ServerOptions::peer_key_file,
    &ServerOptions::peer_trusted_ca_file, &ServerOptions::peer_client_cert_auth};
constexpr PortFlags kHttpFlags = {
    "http_", &ServerOptions::http_cert_file, &ServerOptions::http_key_file,
    &ServerOptions::http_trusted_ca_file, &ServerOptions::http_client_cert_auth};

std::string Flag(absl::string_view prefix, absl::string_view name) {
  return absl::StrCat(prefix, name);
}

TlsFiles FilesOf(const ServerOptions& options, const PortFlags& port) {
  TlsFiles files = ClientTlsFiles(options);
  // A key belongs to its certificate, so they are taken together.
  if (!(options.*port.cert_file).empty()) {
    files.cert = {Flag(port.prefix, "cert_file"), options.*port.cert_file};
    files.key = {Flag(port.prefix, "key_file"), options.*port.key_file};
  }
  if (!(options.*port.trusted_ca_file).empty()) {
    files.trusted_ca = {Flag(port.prefix, "trusted_ca_file"), options.*port.trusted_ca_file};
  }
  if (!(options.*port.client_cert_auth).empty()) {
    files.client_cert_auth = options.*port.client_cert_auth == "true";
  }
  return files;
}

absl::Status FlagRefusal(absl::string_view flag, absl::string_view value, absl::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat("--", flag, "=", value, ": ", rule));
}

absl::Status CheckPair(absl::string_view prefix, const std::string& cert, const std::string& key) {
  if (!cert.empty() && key.empty()) {
    return FlagRefusal(Flag(prefix, "cert_file"), cert,
                       absl::StrCat("needs --", prefix, "key_file, the key that belongs to it"));
  }
  if (cert.empty() && !key.empty()) {
    return FlagRefusal(Flag(prefix, "key_file"), key,
                       absl::StrCat("needs --", prefix, "cert_file, the certificate of this key"));
  }
  return absl::OkStatus();
}

// `auth` is the value of the port's own --..client_cert_auth.
absl::Status CheckPort(const TlsFiles& files, absl::string_view prefix, const std::string& ca,
                       const std::string& auth) {
  const std::string auth_flag = Flag(prefix, "client_cert_auth");
  if (!auth.empty() && auth != "true" && auth != "false") {
    return FlagRefusal(auth_flag, auth, "must be true or false");
  }
  if (!files.on() && !ca.empty()) {
    return FlagRefusal(
        Flag(prefix, "trusted_ca_file"), ca,
        absl::StrCat("needs --", prefix, "cert_file: the port speaks no TLS without"));
  }
  if (!files.on() && auth == "true") {
    return FlagRefusal(
        auth_flag, auth,
        absl::StrCat("needs --", prefix, "cert_file: the port speaks no TLS without"));
  }
  if (files.on() && files.client_cert_auth && files.trusted_ca.path.empty()) {
    return FlagRefusal(auth_flag, "true",
                       absl::StrCat("needs --", prefix,
                                    "trusted_ca_file, the CA that client certificates are of"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string TlsFiles::File::ToString() const { return absl::StrCat("--", flag, "=", path); }

TlsFiles ClientTlsFiles(const ServerOptions& options) {
  return {.cert = {"cert_file", options.cert_file},
          .key = {"key_file", options.key_file},
          .trusted_ca = {"trusted_ca_file", options.trusted_ca_file},
          .client_cert_auth = options.client_cert_auth,
          .member_name = ""};
}

TlsFiles PeerTlsFiles(const ServerOptions& options) {
  TlsFiles files = FilesOf(options, kPeerFlags);
  files.member_name = options.name;
  return files;
}

TlsFiles HttpTlsFiles(const ServerOptions& options) { return FilesOf(options, kHttpFlags); }

absl::Status CheckTlsFlags(const ServerOptions& options) {
  RAFTKV_RETURN_IF_ERROR(CheckPair("", options.cert_file, options.key_file));
  RAFTKV_RETURN_IF_ERROR(CheckPair("peer_", options.peer_cert_file, options.peer_key_file));
  RAFTKV_RETURN_IF_ERROR(CheckPair("http_", options.http_cert_file, options.http_key_file));
  const TlsFiles peer = PeerTlsFiles(options);
  const TlsFiles http = HttpTlsFiles(options);
  // The CA of the client port may be there for another port alone.
  const bool ca_is_used = peer.on() || http.on();
  RAFTKV_RETURN_IF_ERROR(CheckPort(ClientTlsFiles(options), "",
                                   ca_is_used ? "" : options.trusted_ca_file,
                                   options.client_cert_auth ? "true" : ""));
  RAFTKV_RETURN_IF_ERROR(
      CheckPort(peer, "peer_", options.peer_trusted_ca_file, options.peer_client_cert_auth));
  RAFTKV_RETURN_IF_ERROR(
      CheckPort(http, "http_", options.http_trusted_ca_file, options.http_client_cert_auth));
  if (peer.on() && peer.trusted_ca.path.empty()) {
    return FlagRefusal(peer.cert.flag, peer.cert.path,
                       "needs --trusted_ca_file or --peer_trusted_ca_file, too: members check each "
                       "other's certificates by it");
  }
  return absl::OkStatus();
}

}  // namespace raftkv::server
