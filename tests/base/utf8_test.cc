#include "base/utf8.h"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"

namespace raftkv {
namespace {

using Byte = unsigned char;

bool IsTail(Byte byte) { return byte >= 0x80 && byte <= 0xBF; }

// Length of the character at the front of `bytes` by the grammar of RFC 3629 §4, read off its
// table rather than computed; 0 when there is none.
size_t FirstCharacter(absl::string_view bytes) {
  const auto at = [bytes](size_t i) { return i < bytes.size() ? static_cast<Byte>(bytes[i]) : 0; };
  const auto in = [&at](size_t i, int low, int high) { return at(i) >= low && at(i) <= high; };
  if (bytes.empty()) {
    return 0;
  }
  if (in(0, 0x00, 0x7F)) {
    return 1;
  }
  if (in(0, 0xC2, 0xDF) && IsTail(at(1))) {
    return 2;
  }
  const bool three =
      (in(0, 0xE0, 0xE0) && in(1, 0xA0, 0xBF)) || (in(0, 0xE1, 0xEC) && IsTail(at(1))) ||
      (in(0, 0xED, 0xED) && in(1, 0x80, 0x9F)) || (in(0, 0xEE, 0xEF) && IsTail(at(1)));
  if (three && IsTail(at(2))) {
    return 3;
  }
  const bool four = (in(0, 0xF0, 0xF0) && in(1, 0x90, 0xBF)) ||
                    (in(0, 0xF1, 0xF3) && IsTail(at(1))) ||
                    (in(0, 0xF4, 0xF4) && in(1, 0x80, 0x8F));
  if (four && IsTail(at(2)) && IsTail(at(3))) {
    return 4;
  }
  return 0;
}

bool MatchesGrammar(absl::string_view bytes) {
  while (!bytes.empty()) {
    const size_t size = FirstCharacter(bytes);
    if (size == 0) {
      return false;
    }
    bytes.remove_prefix(size);
  }
  return true;
}

// Calls `visit` with every string of `size` of the bytes of `alphabet`.
template <typename Visit>
void ForEachString(const std::vector<Byte>& alphabet, size_t size, std::string* prefix,
                   const Visit& visit) {
  if (prefix->size() == size) {
    visit(*prefix);
    return;
  }
  for (const Byte byte : alphabet) {
    prefix->push_back(static_cast<char>(byte));
    ForEachString(alphabet, size, prefix, visit);
    prefix->pop_back();
  }
}

void ExpectGrammarForEveryString(const std::vector<Byte>& alphabet, size_t size) {
  std::string prefix;
  int valid = 0;
  ForEachString(alphabet, size, &prefix, [&valid](const std::string& bytes) {
    const bool expected = MatchesGrammar(bytes);
    valid += expected ? 1 : 0;
    if (IsUtf8(bytes) != expected) {
      ADD_FAILURE() << absl::CHexEscape(bytes) << " is " << (expected ? "" : "not ") << "UTF-8";
    }
  });
  EXPECT_GT(valid, 0);
}

TEST(Utf8Test, NothingIsText) { EXPECT_TRUE(IsUtf8("")); }

TEST(Utf8Test, EveryStringOfTwoBytes) {
  std::vector<Byte> all;
  for (int byte = 0; byte <= 0xFF; ++byte) {
    all.push_back(static_cast<Byte>(byte));
  }
  ExpectGrammarForEveryString(all, 1);
  ExpectGrammarForEveryString(all, 2);
}

TEST(Utf8Test, EveryStringOfThreeAndFourBytesAtTheEdgesOfTheGrammar) {
  const std::vector<Byte> edges = {0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF,
                                   0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE,
                                   0xEF, 0xF0, 0xF1, 0xF3, 0xF4, 0xF5, 0xFF};
  ExpectGrammarForEveryString(edges, 3);
  ExpectGrammarForEveryString(edges, 4);
}

std::string FourByteForm(uint32_t code_point) {
  return {static_cast<char>(0xF0 | code_point >> 18),
          static_cast<char>(0x80 | (code_point >> 12 & 0x3F)),
          static_cast<char>(0x80 | (code_point >> 6 & 0x3F)),
          static_cast<char>(0x80 | (code_point & 0x3F))};
}

std::string ThreeByteForm(uint32_t code_point) {
  return {static_cast<char>(0xE0 | code_point >> 12),
          static_cast<char>(0x80 | (code_point >> 6 & 0x3F)),
          static_cast<char>(0x80 | (code_point & 0x3F))};
}

TEST(Utf8Test, EveryCodePointHasOneForm) {
  for (uint32_t code_point = 0; code_point < 0x10000; ++code_point) {
    const bool surrogate = code_point >= 0xD800 && code_point <= 0xDFFF;
    ASSERT_EQ(IsUtf8(ThreeByteForm(code_point)), code_point >= 0x800 && !surrogate) << code_point;
    ASSERT_FALSE(IsUtf8(FourByteForm(code_point))) << "overlong " << code_point;
  }
  for (uint32_t code_point = 0x10000; code_point < 0x200000; code_point += 13) {
    ASSERT_EQ(IsUtf8(FourByteForm(code_point)), code_point <= 0x10FFFF) << code_point;
  }
  EXPECT_TRUE(IsUtf8(FourByteForm(0x10FFFF)));
  EXPECT_FALSE(IsUtf8(FourByteForm(0x110000)));
}

TEST(Utf8Test, TheWholeStringCounts) {
  const std::string text = "k\xC3\xA4se \xE2\x82\xAC \xF0\x9F\x98\x80";
  EXPECT_TRUE(IsUtf8(text));
  EXPECT_TRUE(IsUtf8(text + std::string(1, '\0') + text));
  EXPECT_FALSE(IsUtf8(text.substr(0, text.size() - 1))) << "cut inside its last character";
  EXPECT_FALSE(IsUtf8(text + "\x80"));
  EXPECT_FALSE(IsUtf8("\xFF" + text));
}

}  // namespace
}  // namespace raftkv
