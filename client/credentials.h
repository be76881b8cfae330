// What gRPC is given for a client's TLS.
#pragma once

#include <grpcpp/security/credentials.h>

#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "client/types.h"

namespace raftkv::client {

// Reads the files. Unset: plain text. INVALID_ARGUMENT, naming the file, when one cannot be read or
// holds nothing of its kind, or a certificate is without its key.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> MakeCredentials(
    const std::optional<TlsOptions>& tls);

}  // namespace raftkv::client
