#include "server/tls/grpc_credentials.h"

#include <glog/logging.h>
#include <grpc/grpc.h>
#include <grpc/grpc_security.h>
#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_certificate_verifier.h>
#include <grpcpp/security/tls_credentials_options.h>

#include <deque>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace raftkv::server {
namespace {

// gRPC's C API asks at each new connection whether there is another certificate, and keeps the one
// that it has when it cannot use the new one. Its C++ API has nothing of the kind: there files are
// watched, and what is in them is used, whether it fits together or not (ADR 27).
class ReloadedCredentials final : public grpc::ServerCredentials {
 public:
  explicit ReloadedCredentials(std::shared_ptr<PortTls> tls) : tls_(std::move(tls)) {}

  void SetAuthMetadataProcessor(
      const std::shared_ptr<grpc::AuthMetadataProcessor>& /*processor*/) override {
    LOG(FATAL) << "no processor of metadata is offered";
  }

 private:
  // One listening address, which has to be told of a new identity once. gRPC holds a lock while it
  // asks.
  struct Listener {
    const PortTls* tls;
    std::shared_ptr<const TlsIdentity> told;
  };

  int AddPortToServer(const std::string& address, grpc_server* server) override {
    Listener& listener = listeners_.emplace_back(Listener{.tls = tls_.get(), .told = nullptr});
    grpc_server_credentials* const credentials = grpc_ssl_server_credentials_create_with_options(
        grpc_ssl_server_credentials_create_options_using_config_fetcher(
            tls_->files().client_cert_auth
                ? GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
                : GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
            Fetch, &listener));
    const int port = grpc_server_add_http2_port(server, address.c_str(), credentials);
    grpc_server_credentials_release(credentials);
    return port;
  }

  static grpc_ssl_certificate_config_reload_status Fetch(
      void* user_data, grpc_ssl_server_certificate_config** config) {
    Listener& listener = *static_cast<Listener*>(user_data);
    std::shared_ptr<const TlsIdentity> identity = listener.tls->identity();
    if (identity == listener.told) {
      return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED;
    }
    const grpc_ssl_pem_key_cert_pair pair = {.private_key = identity->private_key.c_str(),
                                             .cert_chain = identity->cert_chain.c_str()};
    *config = grpc_ssl_server_certificate_config_create(
        identity->trusted_ca.empty() ? nullptr : identity->trusted_ca.c_str(), &pair, 1);
    listener.told = std::move(identity);
    return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW;
  }

  const std::shared_ptr<PortTls> tls_;
  // As long as gRPC may ask: the builder of the server holds these credentials. Never moved.
  std::deque<Listener> listeners_;
};

std::vector<std::string> ToStrings(const std::vector<grpc::string_ref>& texts) {
  std::vector<std::string> strings;
  for (const grpc::string_ref& text : texts) {
    strings.emplace_back(text.data(), text.size());
  }
  return strings;
}

// Looks at the certificate of whoever answers, once it was found to be of a trusted CA.
class MemberVerifier final : public grpc::experimental::ExternalCertificateVerifier {
 public:
  MemberVerifier(std::string name, std::string address)
      : name_(std::move(name)), address_(std::move(address)) {}

  bool Verify(grpc::experimental::TlsCustomVerificationCheckRequest* request,
              std::function<void(grpc::Status)> /*callback*/, grpc::Status* status) override {
    std::vector<std::string> names = ToStrings(request->dns_names());
    for (std::string& address : ToStrings(request->ip_names())) {
      names.push_back(std::move(address));
    }
    if (!name_.empty() && !NamesMember(names, name_)) {
      *status = grpc::Status(
          grpc::StatusCode::UNAUTHENTICATED,
          absl::StrCat("the certificate is for ", absl::StrJoin(names, ", "),
                       ", and not for the member that is looked for, \"", name_, "\""));
      LOG_EVERY_T(WARNING, 5) << "TLS: refused whoever answers at " << address_ << ": "
                              << status->error_message();
    }
    return true;
  }
  void Cancel(grpc::experimental::TlsCustomVerificationCheckRequest* /*request*/) override {}

 private:
  const std::string name_;
  const std::string address_;
};

}  // namespace

std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(std::shared_ptr<PortTls> tls) {
  if (tls == nullptr) {
    return grpc::InsecureServerCredentials();
  }
  return std::make_shared<ReloadedCredentials>(std::move(tls));
}

std::shared_ptr<grpc::ChannelCredentials> MakeMemberCredentials(const PortTls& tls,
                                                                const std::string& name,
                                                                const std::string& address) {
  const std::shared_ptr<const TlsIdentity> identity = tls.identity();
  grpc::experimental::TlsChannelCredentialsOptions options;
  options.set_certificate_provider(
      std::make_shared<grpc::experimental::StaticDataCertificateProvider>(
          identity->trusted_ca,
          std::vector<grpc::experimental::IdentityKeyCertPair>{
              {.private_key = identity->private_key, .certificate_chain = identity->cert_chain}}));
  options.watch_root_certs();
  options.watch_identity_key_cert_pairs();
  options.set_certificate_verifier(
      grpc::experimental::ExternalCertificateVerifier::Create<MemberVerifier>(name, address));
  // The verifier alone decides about names.
  options.set_check_call_host(false);
  return grpc::experimental::TlsCredentials(options);
}

std::vector<std::string> CertificateNames(const grpc::AuthContext& connection) {
  return ToStrings(connection.FindPropertyValues(GRPC_X509_SAN_PROPERTY_NAME));
}

}  // namespace raftkv::server
