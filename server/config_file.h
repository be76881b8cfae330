// The file of --config: lines of `flag: value`, in YAML.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace raftkv::server {

// More is no configuration, but a file that was named by mistake.
inline constexpr size_t kConfigBytesMax = size_t{64} << 10;

// One line. The value is the text as it would stand on the command line, which alone decides
// whether it is a number or a switch: YAML has ideas of its own of what 010 and `on` are.
struct ConfigEntry {
  std::string key;
  std::string value;
  // "file:line:column", counted from 1 and in bytes.
  std::string key_place;
  std::string value_place;
};

// Reads a regular file, the value of --config. InvalidArgument in one line: why it cannot be read,
// or as ParseConfig.
absl::StatusOr<std::vector<ConfigEntry>> ReadConfigFile(const std::string& path);

// In the order of the text, no key twice; of the keys nothing is known here. None for a text
// without a line. `path` is for the places. InvalidArgument in one line: place, key, what is
// allowed. What YAML has beyond texts by names is refused, as is what the reader would pass over in
// silence: a quote that is never closed, a second document, directives.
absl::StatusOr<std::vector<ConfigEntry>> ParseConfig(const std::string& path,
                                                     absl::string_view text);

}  // namespace raftkv::server
