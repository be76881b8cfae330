// The program's exit codes and output, as scripts see them.
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace raftkv::linearizability {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

struct ToolRun {
  int exit_code = -1;
  std::string output;  // Both streams.
};

ToolRun RunTool(const std::string& arguments) {
  ToolRun run;
  std::FILE* pipe =
      popen(absl::StrCat(RAFTKV_LINEARIZABILITY_PATH, " ", arguments, " 2>&1").c_str(), "r");
  if (pipe == nullptr) {
    return run;
  }
  std::array<char, 256> buffer;
  for (size_t read = 0; (read = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    run.output.append(buffer.data(), read);
  }
  const int status = pclose(pipe);
  run.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return run;
}

ToolRun RunToolOn(const std::string& history) {
  const std::string path = absl::StrCat(testing::TempDir(), "raftkv_linearizability_tool_test.txt");
  std::ofstream(path) << history;
  const ToolRun run = RunTool(path);
  std::remove(path.c_str());
  return run;
}

TEST(ToolTest, ALinearizableHistoryIsExitZero) {
  const ToolRun run = RunToolOn("1 2 c1 put \"k\" \"a\" -> ok @1\n3 4 c1 get \"k\" -> \"a\" @1\n");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.output, StartsWith("OK: 2 operations"));
}

TEST(ToolTest, AViolationIsExplainedAndExitOne) {
  const ToolRun run = RunToolOn("1 2 c1 put \"k\" \"a\" -> ok @1\n3 4 c1 get \"k\" -> absent\n");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.output, HasSubstr("key \"k\": not linearizable"));
  EXPECT_THAT(run.output, HasSubstr("VIOLATION\n"));
}

TEST(ToolTest, ABrokenRevisionRuleIsExitOne) {
  const ToolRun run =
      RunToolOn("1 2 c1 put \"k\" \"a\" -> ok @1\n3 4 c1 put \"l\" \"a\" -> ok @1\n");
  EXPECT_EQ(run.exit_code, 1);
  EXPECT_THAT(run.output, HasSubstr("two writes have one revision"));
}

TEST(ToolTest, WithoutAHistoryThereIsNoVerdict) {
  EXPECT_EQ(RunTool("").exit_code, 2);
  EXPECT_EQ(RunTool("one two").exit_code, 2);
  EXPECT_EQ(RunTool("/does/not/exist").exit_code, 2);
  EXPECT_EQ(RunTool(testing::TempDir()).exit_code, 2);
  EXPECT_EQ(RunToolOn("").exit_code, 2);
  const ToolRun run = RunToolOn("1 2 c1 put \"k\" \"a\" -> ok\nnonsense\n");
  EXPECT_EQ(run.exit_code, 2);
  EXPECT_THAT(run.output, HasSubstr("line 2: "));
}

}  // namespace
}  // namespace raftkv::linearizability
