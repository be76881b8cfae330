#pragma once

#include <string>

#include "absl/status/status.h"
#include "kv/errors.h"

namespace raftkv::server {

// Why, as clients are told; "" when the error does not say.
inline std::string ReasonOf(const absl::Status& error) {
  const auto info = kv::FindErrorInfo(error);
  return info.has_value() ? info->reason() : "";
}

}  // namespace raftkv::server
