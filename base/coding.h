// How numbers lie in bytes, on disk and on the wire. Frozen.
//
//   varint  := base-128, least significant group first, at most 10 bytes
//   fixed32, fixed64 := 4 or 8 bytes, least significant first
//   be64    := 8 bytes, most significant first, so that bytes sort by number
//
// Thread-safe as values are.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
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

// In memory a number is what fixed32 and fixed64 are: none needs its bytes one by one.
static_assert(std::endian::native == std::endian::little);

inline void AppendFixed32(uint32_t number, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&number), kFixed32Bytes);
}

inline void AppendFixed64(uint64_t number, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&number), kFixed64Bytes);
}

inline void AppendBe64(uint64_t number, std::string* bytes) {
  AppendFixed64(__builtin_bswap64(number), bytes);
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

  uint32_t Fixed32() { return Fixed<uint32_t>(); }
  uint64_t Fixed64() { return Fixed<uint64_t>(); }
  uint64_t Be64() { return __builtin_bswap64(Fixed<uint64_t>()); }

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
  template <typename Number>
  Number Fixed() {
    Number number = 0;
    if (const absl::string_view bytes = Bytes(sizeof(number)); !bytes.empty()) {
      std::memcpy(&number, bytes.data(), sizeof(number));
    }
    return number;
  }

  absl::string_view rest_;
  bool ok_ = true;
};

}  // namespace raftkv
