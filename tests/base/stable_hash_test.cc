#include "base/stable_hash.h"

#include <gtest/gtest.h>

#include <string>

namespace raftkv {
namespace {

// Published vectors of FNV-1a with 64 bits: page tokens and cluster ids depend on them.
TEST(StableHashTest, IsFnv1a) {
  EXPECT_EQ(StableHash(""), 0xcbf29ce484222325u);
  EXPECT_EQ(StableHash("a"), 0xaf63dc4c8601ec8cu);
  EXPECT_EQ(StableHash("foobar"), 0x85944171f73967e8u);
}

TEST(StableHashTest, BytesAreUnsignedAndZerosCount) {
  EXPECT_EQ(StableHash("\xff"), 0xaf64724c8602eb6eu);
  EXPECT_EQ(StableHash(std::string(1, '\0')), 0xaf63bd4c8601b7dfu);
  EXPECT_NE(StableHash(std::string(1, '\0')), StableHash(std::string(2, '\0')));
}

}  // namespace
}  // namespace raftkv
