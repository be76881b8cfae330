// Keys as lines of JSON, one each, for `raftkvctl export` and `import`:
//
//   {"key":"k","value":"text","ttl":"1500ms","mod_revision":7}
//
// A value that is not UTF-8 is "value_base64". Without "ttl" a key does not expire. "mod_revision"
// is for readers: an import leaves it out. Pure functions; thread-safe.
#pragma once

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/types.h"

namespace raftkv::ctl {

// Ends with a newline.
std::string ToJsonLine(const KeyValue& kv);

struct JsonLine {
  std::string key = {};
  std::string value = {};
  std::optional<absl::Duration> ttl = std::nullopt;
};

// INVALID_ARGUMENT says what is wrong with the line, without its number.
absl::StatusOr<JsonLine> ParseJsonLine(absl::string_view line);

}  // namespace raftkv::ctl
