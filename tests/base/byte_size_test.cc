#include "base/byte_size.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace raftkv {
namespace {

TEST(ParseByteSizeTest, TakesDigitsAndAUnit) {
  EXPECT_EQ(ParseByteSize("0"), 0);
  EXPECT_EQ(ParseByteSize("1000"), 1000);
  EXPECT_EQ(ParseByteSize("3KiB"), 3072);
  EXPECT_EQ(ParseByteSize("512MiB"), int64_t{512} << 20);
  EXPECT_EQ(ParseByteSize("1GiB"), int64_t{1} << 30);
  EXPECT_EQ(ParseByteSize("2TiB"), int64_t{2} << 40);
  EXPECT_EQ(ParseByteSize("9223372036854775807"), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(ParseByteSize("8388607TiB"), int64_t{8388607} << 40);
}

TEST(ParseByteSizeTest, RefusesAllElse) {
  for (const char* text :
       {"", "MiB", "-1", "+1", " 1", "1 ", "1 MiB", "1MB", "1M", "1mib", "1.5GiB", "1e3", "0x10",
        "1MiBs", "9223372036854775808", "8388608TiB", "99999999999999999999"}) {
    EXPECT_EQ(ParseByteSize(text), std::nullopt) << "\"" << text << "\"";
  }
}

TEST(FormatByteSizeTest, TakesTheLargestUnitWithoutAFraction) {
  EXPECT_EQ(FormatByteSize(0), "0");
  EXPECT_EQ(FormatByteSize(1000), "1000");
  EXPECT_EQ(FormatByteSize(1 << 10), "1KiB");
  EXPECT_EQ(FormatByteSize((1 << 20) + 1), "1048577");
  EXPECT_EQ(FormatByteSize(64 << 20), "64MiB");
  EXPECT_EQ(FormatByteSize(int64_t{1536} << 20), "1536MiB");
  EXPECT_EQ(FormatByteSize(int64_t{1} << 30), "1GiB");
  EXPECT_EQ(FormatByteSize(int64_t{64} << 40), "64TiB");
}

}  // namespace
}  // namespace raftkv
