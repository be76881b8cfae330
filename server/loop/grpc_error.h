// What a client's gRPC library hears of an error (kv/errors.h).
#pragma once

#include <grpcpp/support/status.h>

#include <optional>

#include "absl/status/status.h"
#include "google/rpc/status.pb.h"

namespace raftkv::server {

// With the details: for a field of an answer, and from member to member.
google::rpc::Status ToRpcStatus(const absl::Status& error);
absl::Status FromRpcStatus(const google::rpc::Status& proto);
// With the details, as a google.rpc.Status, that grpcurl and client libraries read.
grpc::Status ToGrpcStatus(const absl::Status& error);

// For the trailer grpc-retry-pushback-ms: how long gRPC's own retries should wait before the next,
// -1 for never; nullopt where they do not look. A retry policy names UNAVAILABLE; UNKNOWN is what
// a write's client must not repeat unseen.
std::optional<int> RetryPushbackMs(const absl::Status& error);

}  // namespace raftkv::server
