// TlsIdentity is what one port says that it is and whom it believes: certificate, key and CAs, read
// from their files and found good.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/tls/tls_files.h"

namespace raftkv::server {

// The largest file that is read for TLS: the CAs of a whole system take a fifth of it.
inline constexpr uint64_t kTlsFileBytesMax = 1 << 20;

// Constant once it is made, so any thread may look at it.
struct TlsIdentity {
  // PEM, without whatever else is in the files; the own certificate comes first.
  std::string cert_chain;
  std::string private_key;
  std::string trusted_ca;  // Empty: none.
  // The names of the own certificate, in the form of CertificateNames.
  std::vector<std::string> names;
  // When the first certificate of the chain ends.
  absl::Time not_after;
  // For servers that use OpenSSL themselves: speaks HTTP/1.1, from TLS 1.2 on.
  std::shared_ptr<SSL_CTX> server_context;
};

// What the files hold, byte for byte.
struct TlsFileContents {
  std::string cert;
  std::string key;
  std::string trusted_ca;

  friend bool operator==(const TlsFileContents&, const TlsFileContents&) = default;
};

// Each fails with InvalidArgument in one line: flag, file, and what is wrong with it.
//
// Reads the files, which may wait for the disk. REQUIRES: files.on().
absl::StatusOr<TlsFileContents> ReadTlsFiles(const TlsFiles& files);
// Checks that all of it can be used, belongs together, and is valid at `now`.
absl::StatusOr<std::shared_ptr<const TlsIdentity>> MakeTlsIdentity(const TlsFiles& files,
                                                                   const TlsFileContents& contents,
                                                                   absl::Time now);

// Whether a certificate of these subject alternative names is a member's: one of them is the
// member's name, letter for letter. No wildcards, and no common name.
bool NamesMember(const std::vector<std::string>& names, absl::string_view member);

// What OpenSSL has to say of the last thing that failed on this thread; forgets it.
std::string TakeOpenSslError();

}  // namespace raftkv::server
