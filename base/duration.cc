#include "base/duration.h"

#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace raftkv {

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  absl::Duration duration;
  double seconds = 0;
  if (!absl::ParseDuration(text, &duration)) {
    if (!absl::SimpleAtod(text, &seconds) || !std::isfinite(seconds)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", text, "\" is not a duration such as 5s, 300ms or 1m30s"));
    }
    duration = absl::Seconds(seconds);
  }
  if (duration == absl::InfiniteDuration() || duration == -absl::InfiniteDuration()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is too long"));
  }
  return duration;
}

}  // namespace raftkv
