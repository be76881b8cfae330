// How the log tells people what the core and gRPC say in their own words.
//
// Pure functions; thread-safe.
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "raft/core/output.h"

namespace raftkv::server {

// The core counts in ticks, people in milliseconds.
std::string EventText(const raft::Event& event);

// Why a call to a peer failed: without the layers through which the failure to connect came, whole
// when the peer itself said it.
std::string PeerFailureText(const grpc::Status& status);

}  // namespace raftkv::server
