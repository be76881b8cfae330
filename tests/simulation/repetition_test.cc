#include "tests/simulation/repetition.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

namespace raftkv::simulation {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;

SimOptions OptionsOf(uint64_t seed) {
  return ExpandOptions(seed, {.nodes = std::nullopt, .operations = 100});
}

TEST(RepetitionTest, EqualOptionsGiveEqualRuns) {
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    EXPECT_THAT(RunTwice(OptionsOf(seed), /*print_trace=*/false).findings, IsEmpty()) << seed;
  }
}

// What a run would be that looked at something besides its options: `disturb` changes the second.
template <typename Disturb>
std::vector<std::string> FindingsWhenDisturbed(Disturb disturb) {
  uint64_t runs = 0;
  const auto run = [&](SimOptions options, bool print_trace) {
    if (++runs == 2) {
      disturb(&options);
    }
    return RunSimulation(options, print_trace);
  };
  return RunTwice(OptionsOf(1), /*print_trace=*/false, run).findings;
}

TEST(RepetitionTest, FindsAMomentThatDiffers) {
  EXPECT_THAT(FindingsWhenDisturbed([](SimOptions* options) { ++options->think_max; }),
              ElementsAre(StartsWith("a second run differs")));
}

// The same messages of the same size at the same times.
TEST(RepetitionTest, FindsContentThatDiffers) {
  EXPECT_THAT(FindingsWhenDisturbed([](SimOptions* options) { options->value_filler = '!'; }),
              ElementsAre(StartsWith("a second run differs")));
}

TEST(RepetitionTest, DisturbsNothingByItself) {
  EXPECT_THAT(FindingsWhenDisturbed([](SimOptions*) {}), IsEmpty());
}

}  // namespace
}  // namespace raftkv::simulation
