// What gRPC is given for TLS: on a port that listens, and on a connection to another member.
#pragma once

#include <grpcpp/security/credentials.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <string>
#include <vector>

#include "server/tls/port_tls.h"

namespace raftkv::server {

// Of a port, which uses for each new connection what `tls` has then. Null: plain text.
std::shared_ptr<grpc::ServerCredentials> MakeServerCredentials(std::shared_ptr<PortTls> tls);

// For one connection to the member `name` at `address`: shows this member's certificate as it is
// now, and wants one that names the other (NamesMember), wherever that is; an empty name is whoever
// has one of a trusted CA.
std::shared_ptr<grpc::ChannelCredentials> MakeMemberCredentials(const PortTls& tls,
                                                                const std::string& name,
                                                                const std::string& address);

// The names of the certificate that the other end of a call has shown; none in plain text.
std::vector<std::string> CertificateNames(const grpc::AuthContext& connection);

}  // namespace raftkv::server
