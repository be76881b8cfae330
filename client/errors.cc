#include "client/errors.h"

#include "client/error_payload.h"
#include "google/rpc/error_details.pb.h"

namespace raftkv {

std::optional<ErrorDetails> GetErrorDetails(const absl::Status& status) {
  const auto payload = status.GetPayload(client::kErrorInfoUrl);
  if (!payload.has_value()) {
    return std::nullopt;
  }
  google::rpc::ErrorInfo info;
  if (!info.ParseFromString(std::string(*payload))) {
    return std::nullopt;
  }
  return ErrorDetails{
      .reason = info.reason(),
      .domain = info.domain(),
      .metadata = {info.metadata().begin(), info.metadata().end()},
  };
}

std::string ErrorReason(const absl::Status& status) {
  const std::optional<ErrorDetails> details = GetErrorDetails(status);
  return details.has_value() ? details->reason : std::string();
}

bool IsOutcomeUnknown(const absl::Status& status) {
  return ErrorReason(status) == kReasonOutcomeUnknown;
}

}  // namespace raftkv
