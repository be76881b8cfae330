// Which files the TLS of each port comes from: what --cert_file and its like say together.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "server/options.h"

namespace raftkv::server {

struct TlsFiles {
  // A file, and the flag that names it, which is another port's where this port's is empty.
  struct File {
    std::string flag;
    std::string path;

    // "--flag=path".
    std::string ToString() const;
    friend bool operator==(const File&, const File&) = default;
  };

  File cert;
  File key;
  File trusted_ca;
  // Whether who connects needs a certificate of `trusted_ca`.
  bool client_cert_auth = false;
  // Of the peer port: the certificate must name this member, and is shown to the others as well.
  std::string member_name;

  // Whether the port speaks TLS at all.
  bool on() const { return !cert.path.empty(); }
  friend bool operator==(const TlsFiles&, const TlsFiles&) = default;
};

TlsFiles ClientTlsFiles(const ServerOptions& options);
// Each of these is as the client port's but for what its own flags say.
TlsFiles PeerTlsFiles(const ServerOptions& options);
TlsFiles HttpTlsFiles(const ServerOptions& options);

// Whether the flags fit together; looks at no file. InvalidArgument in one line: flag, value, what
// is missing.
absl::Status CheckTlsFlags(const ServerOptions& options);

}  // namespace raftkv::server
