// StrongInt<Tag> is an unsigned 64-bit quantity that mixes with no other: a Term is not a LogIndex.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <utility>

namespace raftkv {

// No arithmetic but Next, Previous and the distance between two of a kind; `value()` spells out
// every escape.
template <typename Tag>
class StrongInt {
 public:
  constexpr StrongInt() = default;
  constexpr explicit StrongInt(uint64_t value) : value_(value) {}

  constexpr uint64_t value() const { return value_; }
  constexpr StrongInt Next() const { return StrongInt(value_ + 1); }
  // REQUIRES: value() > 0.
  constexpr StrongInt Previous() const { return StrongInt(value_ - 1); }

  // Moves `steps` on.
  friend constexpr StrongInt operator+(StrongInt from, uint64_t steps) {
    return StrongInt(from.value_ + steps);
  }
  // The distance from `from` to `to`. REQUIRES: from <= to.
  friend constexpr uint64_t operator-(StrongInt to, StrongInt from) {
    return to.value_ - from.value_;
  }
  friend constexpr auto operator<=>(StrongInt, StrongInt) = default;

  template <typename H>
  friend H AbslHashValue(H h, StrongInt v) {
    return H::combine(std::move(h), v.value_);
  }
  friend std::ostream& operator<<(std::ostream& out, StrongInt v) { return out << v.value_; }
  friend std::string ToString(StrongInt v) { return std::to_string(v.value_); }

 private:
  uint64_t value_ = 0;
};

}  // namespace raftkv
