// Every error that the client API answers with: its code, its reason and its words (shared
// contract: the error table of README.md). This is where a client's error text comes from.
#pragma once

#include <grpcpp/support/status.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::server {

// One refusal or failure of a client's request.
struct ApiError {
  grpc::StatusCode code = grpc::StatusCode::INTERNAL;
  // google.rpc.ErrorInfo.reason; empty: no ErrorInfo.
  std::string reason;
  std::string message;
  // google.rpc.ErrorInfo.metadata.
  std::map<std::string, std::string> metadata;
  // google.rpc.RetryInfo, where waiting helps.
  std::optional<int> retry_delay_ms;
  // Trailer grpc-retry-pushback-ms: -1 keeps gRPC's own retries away.
  std::optional<int> retry_pushback_ms;

  // With the details that grpcurl and client libraries read.
  grpc::Status ToStatus() const;
};

// A key for a message: at most kEchoedKeyBytesMax bytes of it, quoted, never cut inside a
// character.
std::string EchoKey(absl::string_view key);

// INVALID_ARGUMENT. `field` is the path of the field in the request.
ApiError BadKey(absl::string_view field, absl::string_view key);
ApiError ValueTooLarge(absl::string_view field, uint64_t size, uint64_t limit);
ApiError NoValue();
ApiError BadTtl(absl::string_view field, absl::string_view value, absl::string_view rule);
ApiError BadRange(absl::string_view field, absl::string_view problem);
ApiError RangeTooLarge(const log::v1::CommandOutcome& outcome, uint64_t keys_max);
ApiError BadPageSize(int64_t page_size);
ApiError BadLimit(int64_t limit);
ApiError BadRevision(absl::string_view field, int64_t revision);
ApiError BadPageToken(absl::string_view problem);
ApiError BadPrecondition(absl::string_view problem);
ApiError Malformed(absl::string_view message_type);
// UNIMPLEMENTED. `field` is the path of what this version does not know.
ApiError UnknownField(absl::string_view field);
// UNAVAILABLE: certainly not proposed.
ApiError NoLeader();
ApiError ShuttingDown();
ApiError TooStale(int64_t min_revision, int64_t revision);
ApiError Behind();
// UNKNOWN: a write that may have happened, or may yet.
ApiError OutcomeUnknown();
// The same for a write that was done, but whose answer there is no room for.
ApiError UnreadOutcome();
// RESOURCE_EXHAUSTED: certainly not proposed.
ApiError Overloaded();
// A call whose request did not come whole is given up.
ApiError Unfinished();
// The same for a read whose answer there is no room for.
ApiError Unread();
// DEADLINE_EXCEEDED: a read whose time was over before it was done.
ApiError TooSlow();
// ABORTED.
ApiError PreconditionFailed(absl::string_view key, int64_t current_mod_revision);
// DATA_LOSS: a file of this member is corrupted.
ApiError Corrupted(absl::string_view problem);

}  // namespace raftkv::server
