#include "base/utf8.h"

#include <cstdint>

namespace raftkv {

bool IsUtf8(absl::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    const auto lead = static_cast<unsigned char>(bytes[i]);
    if (lead < 0x80) {
      ++i;
      continue;
    }
    int continuation = 0;
    uint32_t code_point = 0;
    uint32_t smallest = 0;
    if ((lead & 0xE0) == 0xC0) {
      continuation = 1, code_point = lead & 0x1F, smallest = 0x80;
    } else if ((lead & 0xF0) == 0xE0) {
      continuation = 2, code_point = lead & 0x0F, smallest = 0x800;
    } else if ((lead & 0xF8) == 0xF0) {
      continuation = 3, code_point = lead & 0x07, smallest = 0x10000;
    } else {
      return false;
    }
    if (bytes.size() - i <= static_cast<size_t>(continuation)) {
      return false;
    }
    for (int k = 1; k <= continuation; ++k) {
      const auto byte = static_cast<unsigned char>(bytes[i + static_cast<size_t>(k)]);
      if ((byte & 0xC0) != 0x80) {
        return false;
      }
      code_point = code_point << 6 | (byte & 0x3F);
    }
    const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
    if (code_point < smallest || code_point > 0x10FFFF || surrogate) {
      return false;
    }
    i += 1 + static_cast<size_t>(continuation);
  }
  return true;
}

}  // namespace raftkv
