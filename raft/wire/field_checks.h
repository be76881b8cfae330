// Checks of single fields of a peer's message.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace raftkv::wire {

inline absl::Status Malformed(absl::string_view field, uint64_t value, absl::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat(field, " is ", value, ", ", rule));
}

inline absl::Status CheckCount(absl::string_view field, int count, int max) {
  if (count > max) {
    return Malformed(absl::StrCat("number of ", field), static_cast<uint64_t>(count),
                     absl::StrCat("at most ", max, " are taken"));
  }
  return absl::OkStatus();
}

inline absl::Status CheckNotZero(absl::string_view field, uint64_t value) {
  return value == 0 ? Malformed(field, value, "must not be 0") : absl::OkStatus();
}

}  // namespace raftkv::wire
