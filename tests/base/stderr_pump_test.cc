#include "base/stderr_pump.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace raftkv {
namespace {

constexpr MonotonicNanos kLong = 10 * kNanosPerSecond;
constexpr char kLost[] = " lines lost: nobody took them from standard error in time";

struct Pipe {
  Pipe() { EXPECT_EQ(pipe(ends), 0); }
  int ends[2];
};

void WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = write(fd, bytes.data(), bytes.size());
    ASSERT_GT(size, 0);
    bytes.remove_prefix(static_cast<size_t>(size));
  }
}

// Reads lines until one holds `last`.
std::vector<std::string> ReadLinesUntil(int fd, absl::string_view last) {
  std::string text;
  char bytes[1 << 16];
  do {
    const ssize_t size = read(fd, bytes, sizeof(bytes));
    if (size <= 0) {
      ADD_FAILURE() << "the output ends before " << last;
      break;
    }
    text.append(bytes, static_cast<size_t>(size));
  } while (!absl::StrContains(text, last) || text.back() != '\n');
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

TEST(StderrPumpTest, CarriesWhatIsWrittenAndTellsWhenItHasLeft) {
  const Pipe out;
  const StderrPump* pump = StderrPump::Start(out.ends[1]);
  WriteAll(pump->input(), "one\ntwo");
  EXPECT_TRUE(pump->Drain(kLong));
  WriteAll(pump->input(), "\n");
  EXPECT_TRUE(pump->Drain(kLong));
  char bytes[100];
  EXPECT_EQ(std::string(bytes, static_cast<size_t>(read(out.ends[0], bytes, sizeof(bytes)))),
            "one\ntwo\n");
}

TEST(StderrPumpTest, AReaderThatStopsCostsLinesThatAreCountedAndNoTime) {
  const Pipe out;
  const StderrPump* pump = StderrPump::Start(out.ends[1]);
  const std::string filler(200, 'x');
  constexpr int kLines = 2 * StderrPump::kQueueBytesMax / 200;
  // Would block for good if the pump did not take it.
  for (int i = 0; i < kLines; ++i) {
    WriteAll(pump->input(), absl::StrCat(i, " ", filler, "\n"));
  }
  EXPECT_FALSE(pump->Drain(50 * kNanosPerMilli)) << "the output takes 64 kB only";

  std::vector<std::string> lines = ReadLinesUntil(out.ends[0], kLost);
  const std::string loss = lines.back();
  lines.pop_back();
  for (size_t i = 0; i < lines.size(); ++i) {
    ASSERT_EQ(lines[i], absl::StrCat(i, " ", filler));
  }
  EXPECT_EQ(loss, absl::StrCat("raftkvd: ", kLines - lines.size(), kLost));
  EXPECT_LT(lines.size(), kLines);
  WriteAll(pump->input(), "again\n");
  EXPECT_EQ(ReadLinesUntil(out.ends[0], "again"), std::vector<std::string>{"again"});
}

TEST(StderrPumpTest, LinesThatTheOutputRefusesAreCounted) {
  const int out = open("/dev/full", O_WRONLY);
  ASSERT_GE(out, 0);
  const StderrPump* pump = StderrPump::Start(out);
  WriteAll(pump->input(), "one\ntwo\n");
  EXPECT_TRUE(pump->Drain(kLong)) << "what is lost is not waited for";
  // There is space again.
  const Pipe space;
  ASSERT_EQ(dup2(space.ends[1], out), out);
  WriteAll(pump->input(), "three\n");
  EXPECT_EQ(ReadLinesUntil(space.ends[0], "three"),
            (std::vector<std::string>{absl::StrCat("raftkvd: 2", kLost), "three"}));
}

TEST(StderrPumpDeathTest, LastWordsComeOutBeforeTheProcessEnds) {
  EXPECT_DEATH(
      {
        TakeStderr();
        WriteAll(STDERR_FILENO, "the cause\n");
        std::abort();
      },
      "the cause");
  EXPECT_EXIT(
      {
        TakeStderr();
        WriteAll(STDERR_FILENO, "the reason\n");
        ExitAtOnce(3);
      },
      testing::ExitedWithCode(3), "the reason");
  EXPECT_EXIT(
      {
        TakeStderr();
        WriteAll(STDERR_FILENO, "the end\n");
        std::exit(4);
      },
      testing::ExitedWithCode(4), "the end");
}

}  // namespace
}  // namespace raftkv
