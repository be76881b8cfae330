// Durations as people type them.
#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace raftkv {

// "5s", "300ms", "1m30s", "1.5h"; a number without a unit is seconds. INVALID_ARGUMENT for anything
// else and for endless ones.
absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text);

}  // namespace raftkv
