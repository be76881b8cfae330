// How details travel in an absl::Status: each google.protobuf.Any of the server's google.rpc.Status
// becomes a payload under its own type URL.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace raftkv::client {

inline constexpr char kErrorInfoUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";
inline constexpr char kRetryInfoUrl[] = "type.googleapis.com/google.rpc.RetryInfo";

// `status` with its ErrorInfo replaced.
absl::Status WithReason(absl::Status status, absl::string_view reason, absl::string_view domain);

// How long the server asks to wait before another try; unset when it does not.
std::optional<absl::Duration> RetryDelay(const absl::Status& status);

// The failure of an RPC as a status. `details` is the serialized google.rpc.Status of
// grpc-status-details-bin, or empty; bytes that do not parse add nothing. REQUIRES: code is a
// canonical code but OK.
absl::Status StatusFromRpc(int code, absl::string_view message, const std::string& details);

}  // namespace raftkv::client
