// Numbers of bytes as people write them: "512MiB".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace raftkv {

// Digits, and KiB, MiB, GiB, TiB or nothing right behind them. nullopt for anything else, and for
// what no int64_t holds.
std::optional<int64_t> ParseByteSize(absl::string_view text);

// In the largest unit that needs no fraction. REQUIRES: bytes >= 0.
std::string FormatByteSize(int64_t bytes);

}  // namespace raftkv
