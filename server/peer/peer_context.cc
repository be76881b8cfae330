#include "server/peer/peer_context.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/tls/grpc_credentials.h"

namespace raftkv::server {

grpc::Status PeerContext::RefuseContent(raft::NodeId from, const absl::Status& status) {
  return refusals.RefuseContent(from, absl::StrCat("member ", self().id, " \"", self().name, "\""),
                                status);
}

std::function<std::shared_ptr<grpc::ChannelCredentials>(const std::string& address)>
PeerContext::CredentialsFor(const std::string& name) const {
  if (tls == nullptr) {
    return nullptr;
  }
  return [tls = tls, name](const std::string& address) {
    return MakeMemberCredentials(*tls, name, address);
  };
}

grpc::Status PeerContext::CheckCertificate(const grpc::ServerContext& call,
                                           const std::string& name) {
  if (tls == nullptr || !tls->files().client_cert_auth) {
    return grpc::Status::OK;
  }
  const std::vector<std::string> names = CertificateNames(*call.auth_context());
  if (NamesMember(names, name)) {
    return grpc::Status::OK;
  }
  return refusals.Refuse(grpc::Status(
      grpc::StatusCode::PERMISSION_DENIED,
      absl::StrCat(call.peer(), " calls as member \"", name, "\", but its certificate is for ",
                   names.empty() ? "nobody" : absl::StrJoin(names, ", "))));
}

}  // namespace raftkv::server
