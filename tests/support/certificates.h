// Certificates of every kind, made by the test: good ones, and those that must be refused.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace raftkv::integration {

struct CertificateSpec {
  // Subject alternative names: DNS names, and addresses in numbers. None: the extension is left
  // away.
  std::vector<std::string> names = {};
  std::string common_name = "raftkv test";
  // From now; far away, since some tests shift clocks.
  absl::Duration begins = -absl::Hours(24 * 365);
  absl::Duration ends = absl::Hours(24 * 365);
  // Extended key usage; empty: none.
  std::string usage = "serverAuth,clientAuth";
};

// PEM.
struct KeyPair {
  std::string certificate;
  std::string key;
};

// Confined to one thread.
class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name = "raftkv test CA");

  const std::string& certificate() const { return certificate_; }
  // With a key of its own.
  KeyPair Issue(const CertificateSpec& spec);

 private:
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
  std::unique_ptr<X509, decltype(&X509_free)> own_;
  std::string certificate_;
  int64_t next_serial_ = 2;
};

// Replaces a file in one step, as tools that renew certificates do.
void ReplaceFile(const std::string& path, const std::string& content);

}  // namespace raftkv::integration
