// Stub over a gRPC channel.
#pragma once

#include <memory>
#include <string>

#include "client/stub.h"

namespace raftkv::client {

// One channel to `endpoint`, connected on first use and again whenever it is lost.
std::unique_ptr<Stub> MakeGrpcStub(const std::string& endpoint);

}  // namespace raftkv::client
