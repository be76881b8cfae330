// What a fuzzer hands out, read as a sequence of choices. An empty source gives zeroes, so that
// every input means something. Confined to one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace raftkv::fuzz {

class ByteSource {
 public:
  ByteSource(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  uint64_t Byte() { return rest_.empty() ? 0 : static_cast<uint8_t>(TakeUpTo(1)[0]); }
  bool Flag() { return Byte() % 2 == 1; }
  // REQUIRES: 1 <= bound <= 256.
  uint64_t Below(uint64_t bound) { return Byte() % bound; }
  // Any number at all.
  uint64_t Number() {
    uint64_t number = 0;
    for (const char byte : TakeUpTo(8)) {
      number = number << 8 | static_cast<uint8_t>(byte);
    }
    return number;
  }
  // A number not far from `center` as a rule, any at all now and then.
  uint64_t Near(uint64_t center) {
    const uint64_t choice = Byte();
    if (choice == 255) {
      return Number();
    }
    const uint64_t raised = center + choice % 9;
    return raised < 5 ? 0 : raised - 5;
  }
  absl::string_view TakeUpTo(size_t size) {
    const absl::string_view taken = rest_.substr(0, std::min(size, rest_.size()));
    rest_.remove_prefix(taken.size());
    return taken;
  }
  absl::string_view TakeAll() { return TakeUpTo(rest_.size()); }

 private:
  absl::string_view rest_;
};

}  // namespace raftkv::fuzz
