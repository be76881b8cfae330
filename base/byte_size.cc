#include "base/byte_size.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace raftkv {
namespace {

constexpr std::array<std::pair<absl::string_view, int64_t>, 5> kUnits = {
    {{"TiB", int64_t{1} << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"", 1}}};

}  // namespace

std::optional<int64_t> ParseByteSize(absl::string_view text) {
  const auto digits_end = std::find_if_not(text.begin(), text.end(), [](char c) {
    return absl::ascii_isdigit(static_cast<unsigned char>(c));
  });
  const auto digits = static_cast<size_t>(digits_end - text.begin());
  int64_t number = 0;
  if (!absl::SimpleAtoi(text.substr(0, digits), &number)) {
    return std::nullopt;
  }
  for (const auto& [unit, bytes] : kUnits) {
    if (text.substr(digits) == unit) {
      return number <= std::numeric_limits<int64_t>::max() / bytes
                 ? std::optional<int64_t>(number * bytes)
                 : std::nullopt;
    }
  }
  return std::nullopt;
}

std::string FormatByteSize(int64_t bytes) {
  const auto* unit = std::find_if(kUnits.begin(), kUnits.end(), [bytes](const auto& candidate) {
    return bytes >= candidate.second && bytes % candidate.second == 0;
  });
  return unit == kUnits.end() ? absl::StrCat(bytes)
                              : absl::StrCat(bytes / unit->second, unit->first);
}

}  // namespace raftkv
