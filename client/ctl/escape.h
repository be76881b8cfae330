// Bytes made safe for a terminal.
#pragma once

#include <string>

#include "absl/strings/string_view.h"

namespace raftkv::ctl {

enum class Newlines { kKeep, kEscape };

// `text` with control characters and bytes that are not UTF-8 as \xHH, backslashes as they are.
// kKeep leaves newlines and tabs. The result is UTF-8.
std::string EscapeControls(absl::string_view text, Newlines newlines);

}  // namespace raftkv::ctl
