#include "server/loop/grpc_error.h"

#include <string>

#include "absl/strings/cord.h"
#include "kv/errors.h"

namespace raftkv::server {

google::rpc::Status ToRpcStatus(const absl::Status& error) {
  google::rpc::Status details;
  details.set_code(static_cast<int>(error.code()));
  details.set_message(std::string(error.message()));
  if (const auto info = kv::FindErrorInfo(error); info.has_value()) {
    details.add_details()->PackFrom(*info);
  }
  if (const auto retry = kv::FindRetryInfo(error); retry.has_value()) {
    details.add_details()->PackFrom(*retry);
  }
  return details;
}

absl::Status FromRpcStatus(const google::rpc::Status& proto) {
  absl::Status status(static_cast<absl::StatusCode>(proto.code()), proto.message());
  for (const google::protobuf::Any& detail : proto.details()) {
    status.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return status;
}

grpc::Status ToGrpcStatus(const absl::Status& error) {
  const google::rpc::Status details = ToRpcStatus(error);
  return grpc::Status(static_cast<grpc::StatusCode>(error.code()), details.message(),
                      details.SerializeAsString());
}

std::optional<int> RetryPushbackMs(const absl::Status& error) {
  if (error.code() == absl::StatusCode::kUnknown) {
    return -1;
  }
  if (error.code() != absl::StatusCode::kUnavailable) {
    return std::nullopt;
  }
  const auto retry = kv::FindRetryInfo(error);
  if (!retry.has_value()) {
    return std::nullopt;
  }
  return static_cast<int>(retry->retry_delay().seconds() * 1000 +
                          retry->retry_delay().nanos() / 1'000'000);
}

}  // namespace raftkv::server
