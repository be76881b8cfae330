#include "client/ctl/escape.h"

#include <cstddef>

#include "absl/strings/str_format.h"
#include "base/utf8.h"

namespace raftkv::ctl {
namespace {

// The first character of `text`: a code point's bytes, or one byte where none starts. REQUIRES:
// text is not empty.
absl::string_view FirstCharacter(absl::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const size_t bytes = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  const absl::string_view character = text.substr(0, bytes);
  return IsUtf8(character) ? character : text.substr(0, 1);
}

// REQUIRES: `character` comes from FirstCharacter.
bool IsPrintable(absl::string_view character) {
  const auto lead = static_cast<unsigned char>(character.front());
  if (character.size() == 1) {
    return lead >= 0x20 && lead < 0x7F;
  }
  // U+0080 to U+009F are the second set of control characters.
  const auto second = static_cast<unsigned char>(character[1]);
  return lead != 0xC2 || second >= 0xA0;
}

}  // namespace

std::string EscapeControls(absl::string_view text, Newlines newlines) {
  std::string escaped;
  while (!text.empty()) {
    const absl::string_view character = FirstCharacter(text);
    text.remove_prefix(character.size());
    const bool is_spacing = character == "\n" || character == "\t";
    if (IsPrintable(character) || (is_spacing && newlines == Newlines::kKeep)) {
      escaped.append(character.data(), character.size());
    } else if (is_spacing) {
      escaped += character == "\n" ? "\\n" : "\\t";
    } else {
      for (const char c : character) {
        absl::StrAppendFormat(&escaped, "\\x%02x", static_cast<unsigned char>(c));
      }
    }
  }
  return escaped;
}

}  // namespace raftkv::ctl
