#include "client/ctl/progress.h"

#include <gtest/gtest.h>

#include <sstream>

#include "tests/support/fake_clock.h"

namespace raftkv::ctl {
namespace {

constexpr MonotonicNanos kSecond = kNanosPerSecond;

TEST(ProgressTest, OnATerminalOneLineIsWrittenOver) {
  FakeClock clock;
  std::ostringstream out;
  Progress progress(out, /*is_terminal=*/true, Progress::Unit::kBytes, &clock);
  clock.Advance(kSecond);
  progress.Update(50'000'000, 200'000'000);
  EXPECT_EQ(out.str(), "\r\x1b[K[######                  ] 25%  50 MB of about 200 MB  50 MB/s");
  const size_t shown = out.str().size();
  progress.Update(60'000'000, 200'000'000);
  EXPECT_EQ(out.str().size(), shown) << "not more often than anybody can read";
  clock.Advance(kSecond);
  progress.Update(250'000'000, 200'000'000);
  EXPECT_NE(out.str().find("99%  250 MB of about 250 MB"), std::string::npos) << out.str();
  progress.End();
  EXPECT_TRUE(out.str().ends_with("\r\x1b[K"));
}

TEST(ProgressTest, ElsewhereALineEachFewSeconds) {
  FakeClock clock;
  std::ostringstream out;
  Progress progress(out, /*is_terminal=*/false, Progress::Unit::kKeys, &clock);
  clock.Advance(4 * kSecond);
  progress.Update(100, 0);
  EXPECT_EQ(out.str(), "") << "what is short needs none";
  clock.Advance(kSecond);
  progress.Update(100, 0);
  progress.Update(200, 0);
  EXPECT_EQ(out.str(), "100 keys  20 keys/s\n");
  progress.End();
  EXPECT_EQ(out.str(), "100 keys  20 keys/s\n");
}

}  // namespace
}  // namespace raftkv::ctl
