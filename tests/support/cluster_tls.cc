#include "tests/support/cluster_tls.h"

#include "absl/strings/str_cat.h"

namespace raftkv::integration {

ClusterTls::ClusterTls(const std::vector<std::string>& members) {
  WriteFile(File("ca.pem"), ca_.certificate());
  for (const std::string& member : members) {
    Write(member, IssueMember(member));
  }
  Write("client", ca_.Issue({.names = {"client"}, .usage = "clientAuth"}));
}

KeyPair ClusterTls::IssueMember(const std::string& name) {
  return ca_.Issue({.names = {name, "localhost", "127.0.0.1"}, .common_name = name});
}

void ClusterTls::Write(const std::string& name, const KeyPair& pair) {
  ReplaceFile(File(absl::StrCat(name, ".pem")), pair.certificate);
  ReplaceFile(File(absl::StrCat(name, ".key")), pair.key);
}

std::vector<std::string> ClusterTls::FlagsOf(const std::string& member) const {
  return {absl::StrCat("--cert_file=", File(absl::StrCat(member, ".pem"))),
          absl::StrCat("--key_file=", File(absl::StrCat(member, ".key"))),
          absl::StrCat("--trusted_ca_file=", File("ca.pem")), "--client_cert_auth=true"};
}

std::shared_ptr<grpc::ChannelCredentials> ClusterTls::Credentials() const {
  return CredentialsOf(
      {.certificate = ReadFile(File("client.pem")), .key = ReadFile(File("client.key"))});
}

std::shared_ptr<grpc::ChannelCredentials> ClusterTls::CredentialsOf(const KeyPair& pair) const {
  return grpc::SslCredentials({.pem_root_certs = ca_.certificate(),
                               .pem_private_key = pair.key,
                               .pem_cert_chain = pair.certificate});
}

}  // namespace raftkv::integration
