// A chaos run must fail when a promise is broken: these break one on purpose.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/child_process.h"

namespace raftkv::chaos {
namespace {

using integration::CommandResult;
using integration::ExitStatus;
using integration::Millis;
using testing::HasSubstr;

constexpr int kSkipped = 77;

CommandResult RunChaos(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), RAFTKV_CHAOS_PATH);
  return integration::RunCommand(arguments, "", {}, Millis(120'000));
}

TEST(ChaosSelfTest, AWriteThatWasNeverSentIsFoundLostAndNotLinearizable) {
  const CommandResult run = RunChaos({"--faults=kill", "--duration=3", "--lying-clients"});
  EXPECT_EQ(run.exit, (ExitStatus{.code = 1, .signal = -1}));
  EXPECT_THAT(run.out, HasSubstr("acknowledged write lost"));
  EXPECT_THAT(run.out, HasSubstr("not linearizable"));
  EXPECT_THAT(run.out, HasSubstr("FAILED"));
}

TEST(ChaosSelfTest, AWriteThatOnlySeemedToBeSyncedIsFoundLostAfterAPowerCut) {
  const CommandResult run = RunChaos({"--power-cuts=1", "--lying-disks"});
  if (run.exit.code == kSkipped) {
    GTEST_SKIP() << run.out;
  }
  EXPECT_EQ(run.exit, (ExitStatus{.code = 1, .signal = -1}));
  EXPECT_THAT(run.out, HasSubstr("acknowledged write lost"));
  EXPECT_THAT(run.out, HasSubstr("FAILED"));
}

}  // namespace
}  // namespace raftkv::chaos
