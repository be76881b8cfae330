#include "base/coding.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace raftkv {
namespace {

constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();

TEST(CodingTest, EveryFormIsReadBack) {
  for (const uint64_t number :
       std::vector<uint64_t>{0, 1, 0x7f, 0x80, 0x3fff, 0x4000, uint64_t{1} << 63, kLargest}) {
    std::string bytes;
    AppendVarint(number, &bytes);
    AppendFixed64(number, &bytes);
    AppendBe64(number, &bytes);
    bytes += "rest";
    ByteReader reader(bytes);
    EXPECT_EQ(reader.Varint(), number);
    EXPECT_EQ(reader.Fixed64(), number);
    EXPECT_EQ(reader.Be64(), number);
    EXPECT_EQ(reader.TakeRest(), "rest");
    EXPECT_TRUE(reader.ok_at_end());
  }
}

TEST(CodingTest, BytesAreThoseOfTheGrammar) {
  std::string bytes;
  AppendVarint(uint64_t{300}, &bytes);
  EXPECT_EQ(bytes, "\xac\x02");
  bytes.clear();
  AppendFixed64(0x0102, &bytes);
  EXPECT_EQ(bytes, std::string("\2\1\0\0\0\0\0\0", 8));
  EXPECT_EQ(ByteReader(bytes).Fixed32(), 0x0102u);
  bytes.clear();
  AppendBe64(0x0102, &bytes);
  EXPECT_EQ(bytes, std::string("\0\0\0\0\0\0\1\2", 8));
}

TEST(CodingTest, Be64SortsByNumber) {
  std::string smaller;
  std::string larger;
  AppendBe64(255, &smaller);
  AppendBe64(256, &larger);
  EXPECT_LT(smaller, larger);
}

TEST(CodingTest, WhatIsCutOffFails) {
  std::string bytes;
  AppendVarint(kLargest, &bytes);
  EXPECT_EQ(bytes.size(), 10u);
  for (size_t size = 0; size < bytes.size(); ++size) {
    ByteReader reader(absl::string_view(bytes).substr(0, size));
    reader.Varint();
    EXPECT_FALSE(reader.ok()) << size;
  }
  ByteReader fixed("1234567");
  fixed.Fixed64();
  EXPECT_FALSE(fixed.ok());
  ByteReader block("123");
  EXPECT_EQ(block.Bytes(4), "");
  EXPECT_FALSE(block.ok());
}

TEST(CodingTest, AVarintBeyondSixtyFourBitsFails) {
  ByteReader too_large("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
  too_large.Varint();
  EXPECT_FALSE(too_large.ok());
  ByteReader too_long("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01");
  too_long.Varint();
  EXPECT_FALSE(too_long.ok());
  std::string bytes;
  AppendVarint(uint64_t{1} << 63, &bytes);
  ByteReader negative(bytes);
  negative.SignedVarint();
  EXPECT_FALSE(negative.ok());
}

TEST(CodingTest, AfterAFailureEverythingFails) {
  ByteReader reader("\x80");
  reader.Varint();
  EXPECT_EQ(reader.TakeRest(), "");
  EXPECT_FALSE(reader.ok_at_end());
}

}  // namespace
}  // namespace raftkv
