// The files of a cluster whose members and clients speak TLS and show certificates to each other.
#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/certificates.h"
#include "tests/support/temp_dir.h"

namespace raftkv::integration {

// Confined to one thread.
class ClusterTls {
 public:
  // Writes ca.pem, NAME.pem and NAME.key of each of these members, client.pem and client.key.
  explicit ClusterTls(const std::vector<std::string>& members);

  CertificateAuthority& ca() { return ca_; }
  std::string File(const std::string& name) const { return dir_.File(name); }
  // What a member of this name has; each call makes another.
  KeyPair IssueMember(const std::string& name);
  // Replaces both files of a member, certificate first, each in one step.
  void Write(const std::string& name, const KeyPair& pair);

  // TLS on all ports, with certificates asked for on all of them.
  std::vector<std::string> FlagsOf(const std::string& member) const;
  // What a client with the certificate of client.pem uses.
  std::shared_ptr<grpc::ChannelCredentials> Credentials() const;
  // With another one, or without: a pair of empty texts.
  std::shared_ptr<grpc::ChannelCredentials> CredentialsOf(const KeyPair& pair) const;

 private:
  TempDir dir_;
  CertificateAuthority ca_;
};

}  // namespace raftkv::integration
