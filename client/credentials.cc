#include "client/credentials.h"

#include <cerrno>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace raftkv::client {
namespace {

constexpr char kCertificate[] = "CERTIFICATE-----";
constexpr char kPrivateKey[] = "PRIVATE KEY-----";

// What a file of PEM holds; empty without a path. `kind` must be in it.
absl::StatusOr<std::string> ReadPem(const char* option, const std::string& path, const char* kind) {
  if (path.empty()) {
    return std::string();
  }
  std::ifstream file(path);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (!file.is_open() || file.bad()) {
    return absl::InvalidArgumentError(absl::StrCat(
        option, " ", path, ": cannot be read: ", std::generic_category().message(errno)));
  }
  if (!absl::StrContains(text, "-----BEGIN ") || !absl::StrContains(text, kind)) {
    return absl::InvalidArgumentError(
        absl::StrCat(option, " ", path, ": holds no \"-----BEGIN ... ", kind, "\""));
  }
  return text;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const std::optional<TlsOptions>& tls) {
  if (!tls.has_value()) {
    return grpc::InsecureChannelCredentials();
  }
  if (tls->cert_file.empty() != tls->key_file.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("tls: a certificate and its key go together, but ",
                     tls->key_file.empty() ? "key_file" : "cert_file", " is empty"));
  }
  grpc::SslCredentialsOptions options;
  RAFTKV_ASSIGN_OR_RETURN(options.pem_root_certs,
                          ReadPem("tls: ca_file", tls->ca_file, kCertificate));
  RAFTKV_ASSIGN_OR_RETURN(options.pem_cert_chain,
                          ReadPem("tls: cert_file", tls->cert_file, kCertificate));
  RAFTKV_ASSIGN_OR_RETURN(options.pem_private_key,
                          ReadPem("tls: key_file", tls->key_file, kPrivateKey));
  return grpc::SslCredentials(options);
}

}  // namespace raftkv::client
