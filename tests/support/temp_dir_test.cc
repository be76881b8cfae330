#include "tests/support/temp_dir.h"

#include <gtest/gtest.h>

namespace raftkv::integration {
namespace {

TEST(ReadWholeLinesTest, LeavesOutALineThatIsStillBeingWritten) {
  TempDir dir;
  const std::string file = dir.File("log");
  EXPECT_EQ(ReadWholeLines(file), "");
  WriteFile(file, "raftkvd ready name=n1 id=1 client=");
  EXPECT_EQ(ReadWholeLines(file), "");
  WriteFile(file, "one\ntwo\nthr");
  EXPECT_EQ(ReadWholeLines(file), "one\ntwo\n");
  WriteFile(file, "one\ntwo\n");
  EXPECT_EQ(ReadWholeLines(file), "one\ntwo\n");
}

}  // namespace
}  // namespace raftkv::integration
