#include "base/strong_int.h"

#include <gtest/gtest.h>

#include <limits>
#include <set>
#include <sstream>
#include <type_traits>

#include "absl/hash/hash.h"

namespace raftkv {
namespace {

using Apples = StrongInt<struct ApplesTag>;
using Pears = StrongInt<struct PearsTag>;

constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();

template <typename A, typename B>
concept Comparable = requires(A a, B b) {
  a == b;
};
template <typename A, typename B>
concept Subtractable = requires(A a, B b) {
  a - b;
};

TEST(StrongIntTest, MixesWithNothing) {
  static_assert(!std::is_convertible_v<uint64_t, Apples>);
  static_assert(!std::is_convertible_v<Apples, uint64_t>);
  static_assert(!std::is_convertible_v<Pears, Apples>);
  static_assert(!std::is_constructible_v<Apples, Pears>);
  static_assert(!std::is_assignable_v<Apples&, uint64_t>);
  static_assert(Comparable<Apples, Apples>);
  static_assert(!Comparable<Apples, Pears>);
  static_assert(!Comparable<Apples, uint64_t>);
  static_assert(Subtractable<Apples, Apples>);
  static_assert(!Subtractable<Apples, Pears>);
  static_assert(!Subtractable<Apples, uint64_t>);
}

TEST(StrongIntTest, CostsAsMuchAsItsNumber) {
  static_assert(sizeof(Apples) == sizeof(uint64_t));
  static_assert(std::is_trivially_copyable_v<Apples>);
}

TEST(StrongIntTest, IsZeroByDefault) { EXPECT_EQ(Apples().value(), 0u); }

TEST(StrongIntTest, OrdersAsItsNumber) {
  EXPECT_EQ(Apples(3), Apples(3));
  EXPECT_NE(Apples(3), Apples(4));
  EXPECT_LT(Apples(3), Apples(4));
  EXPECT_GE(Apples(4), Apples(4));
  EXPECT_GT(Apples(kMax), Apples(kMax - 1)) << "unsigned";
  EXPECT_EQ(std::set<Apples>({Apples(2), Apples(1), Apples(2)}).size(), 2u);
}

TEST(StrongIntTest, MovesAndMeasures) {
  EXPECT_EQ(Apples(3).Next(), Apples(4));
  EXPECT_EQ(Apples(3).Previous(), Apples(2));
  EXPECT_EQ(Apples(3) + 4, Apples(7));
  EXPECT_EQ(Apples(7) - Apples(3), 4u);
  EXPECT_EQ(Apples(kMax) - Apples(0), kMax);
}

TEST(StrongIntTest, HashesEqualWhenEqual) {
  EXPECT_EQ(absl::Hash<Apples>()(Apples(3)), absl::Hash<Apples>()(Apples(3)));
  EXPECT_NE(absl::Hash<Apples>()(Apples(3)), absl::Hash<Apples>()(Apples(4)));
}

TEST(StrongIntTest, PrintsItsNumber) {
  std::ostringstream out;
  out << Apples(kMax);
  EXPECT_EQ(out.str(), "18446744073709551615");
  EXPECT_EQ(ToString(Apples(12)), "12");
}

}  // namespace
}  // namespace raftkv
