#include "storage/info_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/fake_clock.h"
#include "tests/support/log_lines.h"

namespace raftkv::storage {
namespace {

using rocksdb::InfoLogLevel;
using testing::ElementsAre;

class InfoLogTest : public testing::Test {
 protected:
  // As RocksDB's own code does.
  void Say(InfoLogLevel level, const std::string& text) {
    rocksdb::Log(level, &log_, "%s", text.c_str());
  }

  FakeClock clock_;
  InfoLog log_{&clock_};
  LogLines ours_;
};

TEST_F(InfoLogTest, WarningsAndErrorsAreLinesOfOurLog) {
  Say(InfoLogLevel::INFO_LEVEL, "nothing to see");
  rocksdb::Header(&log_, "Options.%s", "all");
  rocksdb::Log(&log_, "without a level");
  Say(InfoLogLevel::WARN_LEVEL, "[default] Stalling\nwrites\n");
  Say(InfoLogLevel::ERROR_LEVEL, "no space");
  Say(InfoLogLevel::FATAL_LEVEL, "the end");
  EXPECT_THAT(ours_.lines, ElementsAre("WARNING RocksDB: [default] Stalling writes",
                                       "ERROR RocksDB: no space", "ERROR RocksDB: the end"));
}

TEST_F(InfoLogTest, ALongLineIsCut) {
  Say(InfoLogLevel::WARN_LEVEL, std::string(5000, 'x'));
  EXPECT_THAT(ours_.lines,
              ElementsAre("WARNING RocksDB: " + std::string(InfoLog::kLineBytesMax - 1, 'x')));
}

TEST_F(InfoLogTest, ManyLinesAreCountedInsteadOfWritten) {
  for (uint64_t i = 0; i < InfoLog::kLinesMax + 3; ++i) {
    Say(InfoLogLevel::WARN_LEVEL, "again");
  }
  EXPECT_EQ(ours_.lines.size(), InfoLog::kLinesMax);
  clock_.Advance(InfoLog::kWindowNanos);
  ours_.lines.clear();
  Say(InfoLogLevel::WARN_LEVEL, "later");
  Say(InfoLogLevel::WARN_LEVEL, "last");
  EXPECT_THAT(ours_.lines, ElementsAre("WARNING RocksDB: later (3 lines before it were left out)",
                                       "WARNING RocksDB: last"));
}

}  // namespace
}  // namespace raftkv::storage
