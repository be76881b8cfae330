// A hash that is the same on every machine, in every process and version.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"

namespace raftkv {

// FNV-1a with 64 bits. Not against adversaries.
inline uint64_t StableHash(absl::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char byte : bytes) {
    hash ^= static_cast<unsigned char>(byte);
    hash *= 0x100000001b3;
  }
  return hash;
}

}  // namespace raftkv
