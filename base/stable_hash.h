// A hash that is the same on every machine, in every process and version.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace raftkv {

inline constexpr uint64_t kStableHashOfNothing = 0xcbf29ce484222325;

// FNV-1a with 64 bits. Not against adversaries. With `hash`, what came before is hashed already.
inline uint64_t StableHash(absl::string_view bytes, uint64_t hash = kStableHashOfNothing) {
  for (const char byte : bytes) {
    hash ^= static_cast<unsigned char>(byte);
    hash *= 0x100000001b3;
  }
  return hash;
}

}  // namespace raftkv
