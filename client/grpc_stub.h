// Stub over a gRPC channel.
#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>

#include "client/stub.h"

namespace raftkv::client {

// One channel to `endpoint`, connected on first use and again whenever it is lost.
std::unique_ptr<Stub> MakeGrpcStub(const std::string& endpoint,
                                   const std::shared_ptr<grpc::ChannelCredentials>& credentials =
                                       grpc::InsecureChannelCredentials());

}  // namespace raftkv::client
