// How numbers lie in bytes, on disk and on the wire. Frozen.
//
//   varint  := base-128, least significant group first, at most 10 bytes
//   fixed32, fixed64 := 4 or 8 bytes, least significant first
//   be64    := 8 bytes, most significant first, so that bytes sort by number
//
// Thread-safe as values are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace raftkv {

inline constexpr size_t kFixed32Bytes = 4;
inline constexpr size_t kFixed64Bytes = 8;

inline void AppendVarint(uint64_t number, std::string* bytes) {
  while (number >= 0x80) {
    bytes->push_back(static_cast<char>(number | 0x80));
    number >>= 7;
  }
  bytes->push_back(static_cast<char>(number));
}

// For numbers that are never negative, so that they need no zigzag.
inline void AppendVarint(int64_t number, std::string* bytes) {
  AppendVarint(static_cast<uint64_t>(number), bytes);
}

inline void AppendFixed32(uint32_t number, std::string* bytes) {
  for (size_t i = 0; i < kFixed32Bytes; ++i) {
    bytes->push_back(static_cast<char>(number >> (8 * i)));
  }
}

inline void AppendFixed64(uint64_t number, std::string* bytes) {
  for (size_t i = 0; i < kFixed64Bytes; ++i) {
    bytes->push_back(static_cast<char>(number >> (8 * i)));
  }
}

inline void AppendBe64(uint64_t number, std::string* bytes) {
  for (int shift = 56; shift >= 0; shift -= 8) {
    bytes->push_back(static_cast<char>(number >> shift));
  }
}

// Takes what the functions above made from the front of some bytes, which outlive it. After the
// first failure everything fails, and numbers mean nothing.
class ByteReader {
 public:
  explicit ByteReader(absl::string_view bytes) : rest_(bytes) {}

  // Fails when it is cut off or does not fit 64 bits.
  uint64_t Varint() {
    uint64_t number = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const uint64_t group = Byte();
      // The tenth byte has room for one bit.
      if (shift == 63 && group > 1) {
        ok_ = false;
      }
      number |= (group & 0x7f) << shift;
      if (group < 0x80) {
        return number;
      }
    }
    ok_ = false;
    return 0;
  }

  // Fails when it does not fit 63 bits.
  int64_t SignedVarint() {
    const uint64_t number = Varint();
    ok_ = ok_ && number <= static_cast<uint64_t>(INT64_MAX);
    return static_cast<int64_t>(number);
  }

  uint8_t Byte() {
    if (rest_.empty()) {
      ok_ = false;
      return 0;
    }
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }

  uint32_t Fixed32() { return static_cast<uint32_t>(Fixed(kFixed32Bytes)); }
  uint64_t Fixed64() { return Fixed(kFixed64Bytes); }

  uint64_t Be64() {
    uint64_t number = 0;
    for (size_t i = 0; i < kFixed64Bytes; ++i) {
      number = number << 8 | Byte();
    }
    return number;
  }

  // The next `size` bytes; fails when there are fewer.
  absl::string_view Bytes(uint64_t size) {
    if (size > rest_.size()) {
      ok_ = false;
      return {};
    }
    const absl::string_view bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return bytes;
  }

  // Of what was taken, something is wrong that only the caller knows.
  void Fail() { ok_ = false; }

  absl::string_view TakeRest() { return std::exchange(rest_, absl::string_view()); }

  absl::string_view rest() const { return rest_; }
  bool empty() const { return rest_.empty(); }
  bool ok() const { return ok_; }
  bool ok_at_end() const { return ok_ && rest_.empty(); }

 private:
  uint64_t Fixed(size_t size) {
    uint64_t number = 0;
    for (size_t i = 0; i < size; ++i) {
      number |= uint64_t{Byte()} << (8 * i);
    }
    return number;
  }

  absl::string_view rest_;
  bool ok_ = true;
};

}  // namespace raftkv
