// What a failed call tells beyond its canonical code and message.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"

namespace raftkv {

// Reasons that programs decide on; proto/raftkv/v1/kv.proto names the others at the fields that
// cause them.
inline constexpr char kReasonNoLeader[] = "NO_LEADER";
inline constexpr char kReasonShuttingDown[] = "SHUTTING_DOWN";
inline constexpr char kReasonOutcomeUnknown[] = "OUTCOME_UNKNOWN";
inline constexpr char kReasonPreconditionFailed[] = "PRECONDITION_FAILED";
// The library's own: no endpoint could be connected, so nothing was sent.
inline constexpr char kReasonCannotConnect[] = "CANNOT_CONNECT";
// The library's own: an endpoint answered for another cluster than an earlier one.
inline constexpr char kReasonClusterMismatch[] = "CLUSTER_MISMATCH";

// Who gave a reason: a server, or the library itself.
inline constexpr char kServerErrorDomain[] = "raftkv";
inline constexpr char kClientErrorDomain[] = "raftkv.client";

// A status's google.rpc.ErrorInfo.
struct ErrorDetails {
  std::string reason;
  std::string domain;
  std::map<std::string, std::string> metadata;  // such as field, size, limit, mod_revision
};

// Unset when the status carries none: OK, the client's own deadline, a connection that broke.
std::optional<ErrorDetails> GetErrorDetails(const absl::Status& status);

// GetErrorDetails' reason; "" when there is none.
std::string ErrorReason(const absl::Status& status);

// Whether the failed write may have happened all the same, now or later. Every other error of a
// write means that it changed nothing and never will.
bool IsOutcomeUnknown(const absl::Status& status);

}  // namespace raftkv
