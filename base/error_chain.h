// Errors that name their causes one after the other.
#pragma once

#include "absl/strings/string_view.h"

namespace raftkv {

// What is left of "failed to ...: ...: Connection refused": the part after the last ": ".
inline absl::string_view InnermostCause(absl::string_view message) {
  const size_t colon = message.rfind(": ");
  return colon == absl::string_view::npos ? message : message.substr(colon + 2);
}

}  // namespace raftkv
