// raftkvctl top on a terminal of its own: what is on it, and that it is given back.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kTaken[] = "\x1b[?1049h";
constexpr char kGivenBack[] = "\x1b[?25h\x1b[?1049l";

// A program on a pseudo terminal. Confined to one thread.
class TerminalProcess {
 public:
  TerminalProcess(std::vector<std::string> arguments, winsize size) {
    std::vector<char*> argv;
    for (std::string& argument : arguments) {
      argv.push_back(argument.data());
    }
    argv.push_back(nullptr);
    // Opened here, so that what it was like before is known.
    int child_end = -1;
    EXPECT_EQ(openpty(&terminal_, &child_end, nullptr, nullptr, &size), 0);
    before_ = Settings();
    pid_ = fork();
    if (pid_ == 0) {
      close(terminal_);
      login_tty(child_end);
      const rlimit no_core = {.rlim_cur = 0, .rlim_max = 0};
      setrlimit(RLIMIT_CORE, &no_core);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(child_end);
    EXPECT_EQ(fcntl(terminal_, F_SETFL, O_NONBLOCK), 0);
  }
  ~TerminalProcess() {
    if (!ended_.has_value()) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(terminal_);
  }
  TerminalProcess(const TerminalProcess&) = delete;
  TerminalProcess& operator=(const TerminalProcess&) = delete;

  void Type(const std::string& keys) {
    EXPECT_EQ(write(terminal_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  void Resize(uint16_t columns, uint16_t rows) {
    const winsize size = {.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    EXPECT_EQ(ioctl(terminal_, TIOCSWINSZ, &size), 0);
  }
  void Signal(int signal) const { kill(pid_, signal); }

  // All that it has written.
  const std::string& output() {
    char bytes[4096];
    for (ssize_t size = 0; (size = read(terminal_, bytes, sizeof(bytes))) > 0;) {
      output_.append(bytes, static_cast<size_t>(size));
    }
    return output_;
  }
  // The lines of the last whole frame, without colours.
  std::vector<std::string> Screen() {
    const std::string& all = output();
    const size_t end = all.rfind("\x1b[J");
    const size_t begin = end == std::string::npos ? end : all.rfind("\x1b[H", end);
    if (begin == std::string::npos) {
      return {};
    }
    // The terminal makes "\r\r\n" of a line's end.
    const std::string text = std::regex_replace(all.substr(begin, end - begin),
                                                std::regex("\x1b\\[[0-9;?]*[A-Za-z]|\r"), "");
    return absl::StrSplit(text, '\n');
  }
  std::string ScreenText() { return absl::StrJoin(Screen(), "\n"); }
  bool AwaitScreen(const testing::Matcher<std::string>& matcher, Millis timeout = Millis(15000)) {
    return WaitUntil(timeout, [&] { return matcher.Matches(ScreenText()); });
  }
  // The wait status when it ended, or stopped.
  std::optional<int> AwaitEnd(Millis timeout = Millis(5000)) {
    int status = 0;
    const bool over = WaitUntil(timeout, [&] {
      output();  // It waits for what it wrote to be taken.
      return waitpid(pid_, &status, WNOHANG | WUNTRACED) == pid_;
    });
    if (!over) {
      return std::nullopt;
    }
    if (WIFEXITED(status) || WIFSIGNALED(status)) {
      ended_ = status;
    }
    output();
    return status;
  }
  // Whether keys are echoed and read by the line, as before.
  bool IsAsBefore() const {
    const termios now = Settings();
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag &&
           now.c_oflag == before_.c_oflag;
  }

 private:
  termios Settings() const {
    termios settings = {};
    EXPECT_EQ(tcgetattr(terminal_, &settings), 0);
    return settings;
  }

  int terminal_ = -1;
  pid_t pid_ = -1;
  termios before_ = {};
  std::string output_;
  std::optional<int> ended_;
};

constexpr winsize kUsual = {.ws_row = 24, .ws_col = 120, .ws_xpixel = 0, .ws_ypixel = 0};

class TopTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new TestCluster();
    ASSERT_TRUE(cluster_->StartAll());
  }
  static void TearDownTestSuite() {
    delete cluster_;
    cluster_ = nullptr;
  }
  static std::vector<std::string> Top() {
    return {RaftkvctlPath(), "--endpoints", cluster_->client_address(0), "top"};
  }

  static TestCluster* cluster_;
};

TestCluster* TopTest::cluster_ = nullptr;

TEST_F(TopTest, ShowsTheClusterUntilQ) {
  ASSERT_TRUE(cluster_->client(0).PutText("k", "v").ok());
  TerminalProcess top(Top(), kUsual);
  ASSERT_TRUE(top.AwaitScreen(
      AllOf(HasSubstr("3 of 3 members answer"), HasSubstr("SYNC P99"), HasSubstr("follower"))))
      << top.ScreenText();
  const std::vector<std::string> screen = top.Screen();
  ASSERT_EQ(screen.size(), 5U) << top.ScreenText();
  for (size_t node = 0; node < 3; ++node) {
    EXPECT_TRUE(absl::StartsWith(screen[2 + node], TestCluster::Name(node))) << top.ScreenText();
  }
  EXPECT_FALSE(top.IsAsBefore()) << "keys are not echoed";
  // Again, a second later and another one.
  for (int i = 0; i < 2; ++i) {
    const std::string title = top.Screen()[0];
    EXPECT_TRUE(top.AwaitScreen(Not(HasSubstr(title.substr(0, 8))), Millis(3000))) << title;
  }
  top.Type("x");
  top.Type("q");
  const std::optional<int> status = top.AwaitEnd();
  ASSERT_TRUE(status.has_value() && WIFEXITED(*status));
  EXPECT_EQ(WEXITSTATUS(*status), 0);
  EXPECT_TRUE(absl::StartsWith(top.output(), kTaken));
  EXPECT_TRUE(absl::EndsWith(top.output(), kGivenBack));
  EXPECT_TRUE(top.IsAsBefore());
}

TEST_F(TopTest, ItsFiguresAreOfTheLastSeconds) {
  TerminalProcess top(Top(), kUsual);
  for (int i = 0; i < 50; ++i) {
    ASSERT_TRUE(cluster_->client(1).PutText("k", "v").ok());
  }
  // Writes of n2 per second.
  EXPECT_TRUE(top.AwaitScreen(testing::ContainsRegex("\nn2 +[a-z]+ +[0-9]+ +[1-9][0-9.]* +0 ")))
      << top.ScreenText();
}

TEST_F(TopTest, FitsIntoWhatTheTerminalIsNow) {
  TerminalProcess top(Top(), kUsual);
  ASSERT_TRUE(top.AwaitScreen(HasSubstr("3 of 3")));
  for (const auto& [columns, rows] :
       std::vector<std::pair<uint16_t, uint16_t>>{{60, 24}, {20, 3}, {3, 1}, {200, 50}}) {
    top.Resize(columns, rows);
    EXPECT_TRUE(WaitUntil(
        Millis(5000),
        [&, columns = columns, rows = rows] {
          const std::vector<std::string> screen = top.Screen();
          const bool fits = screen.size() <= rows &&
                            std::all_of(screen.begin(), screen.end(), [&](const std::string& line) {
                              // One is left, where no line wraps.
                              return line.size() < columns;
                            });
          // And uses what there is.
          return fits && (columns < 200 || absl::StrContains(top.ScreenText(), "VERSION"));
        }))
        << columns << "x" << rows << "\n"
        << top.ScreenText();
  }
  top.Type("q");
  EXPECT_EQ(top.AwaitEnd(), 0);
}

TEST_F(TopTest, HoweverItEndsTheTerminalIsGivenBack) {
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGABRT, SIGSEGV}) {
    TerminalProcess top(Top(), kUsual);
    ASSERT_TRUE(top.AwaitScreen(HasSubstr("members answer"))) << signal;
    if (signal == SIGINT) {
      top.Type("\x03");
    } else {
      top.Signal(signal);
    }
    const std::optional<int> status = top.AwaitEnd();
    ASSERT_TRUE(status.has_value() && WIFSIGNALED(*status)) << signal;
    EXPECT_EQ(WTERMSIG(*status), signal);
    EXPECT_THAT(top.output(), HasSubstr(kGivenBack)) << signal;
    EXPECT_TRUE(top.IsAsBefore()) << signal;
  }
}

TEST_F(TopTest, MayBeStoppedForAWhile) {
  TerminalProcess top(Top(), kUsual);
  ASSERT_TRUE(top.AwaitScreen(HasSubstr("members answer")));
  top.Type("\x1a");
  std::optional<int> status = top.AwaitEnd();
  ASSERT_TRUE(status.has_value() && WIFSTOPPED(*status));
  EXPECT_TRUE(absl::EndsWith(top.output(), kGivenBack));
  EXPECT_TRUE(top.IsAsBefore());
  const size_t before = top.output().size();
  top.Signal(SIGCONT);
  ASSERT_TRUE(WaitUntil(Millis(5000), [&] {
    const std::string since = top.output().substr(before);
    return absl::StartsWith(since, kTaken) && absl::StrContains(since, "members answer");
  }));
  EXPECT_FALSE(top.IsAsBefore());
  top.Type("q");
  status = top.AwaitEnd();
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(top.IsAsBefore());
}

TEST_F(TopTest, WithoutATerminalItIsOneLook) {
  const CommandResult result = RunCommand(Top());
  EXPECT_EQ(result.exit, (ExitStatus{.code = 0})) << result;
  EXPECT_THAT(result.out, AllOf(HasSubstr("3 of 3 members answer"), HasSubstr("VERSION"),
                                Not(HasSubstr("\x1b")), Not(HasSubstr("\r"))));
  EXPECT_EQ(std::count(result.out.begin(), result.out.end(), '\n'), 5) << result;
  std::vector<std::string> as_json = Top();
  as_json.insert(as_json.end(), {"-w", "json"});
  const auto members = nlohmann::json::parse(RunCommand(as_json).out, nullptr, false);
  ASSERT_EQ(members.size(), 3U) << members;
  EXPECT_EQ(members[0]["requests"]["window"].is_string(), true) << members;
  EXPECT_EQ(members[0]["peers"].size(), 2U) << members;

  const CommandResult nobody =
      RunCommand({RaftkvctlPath(), "--endpoints", Loopback(PickFreePort()), "top"});
  EXPECT_EQ(nobody.exit, (ExitStatus{.code = 2})) << nobody;
  EXPECT_THAT(nobody.out, HasSubstr("no member answers"));
}

TEST(TopWithoutQuorumTest, SaysWhoIsDownAndThatNobodyLeads) {
  TestCluster cluster;
  ASSERT_TRUE(cluster.StartAll());
  const std::optional<size_t> leader = cluster.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  const size_t left = cluster.Other(*leader);
  const size_t other = cluster.Other(left);
  TerminalProcess top({RaftkvctlPath(), "--endpoints", cluster.client_address(left), "top"},
                      kUsual);
  ASSERT_TRUE(top.AwaitScreen(HasSubstr("3 of 3")));
  // Frozen: it takes connections, and answers none.
  cluster.Pause(other);
  EXPECT_TRUE(top.AwaitScreen(
      AllOf(HasSubstr("2 of 3"), HasSubstr("leader n"),
            testing::ContainsRegex(absl::StrCat(TestCluster::Name(other), " +down")))))
      << top.ScreenText();
  cluster.server(*leader).Kill9();
  EXPECT_TRUE(top.AwaitScreen(AllOf(HasSubstr("NO LEADER"), HasSubstr("1 of 3")), Millis(20000)))
      << top.ScreenText();
  EXPECT_THAT(top.output(), HasSubstr("\x1b[31m")) << "in red";
  cluster.server(left).Kill9();
  EXPECT_TRUE(top.AwaitScreen(HasSubstr("no member answers"))) << top.ScreenText();
  cluster.Resume(other);
  ASSERT_TRUE(cluster.StartAll());
  EXPECT_TRUE(top.AwaitScreen(AllOf(HasSubstr("3 of 3"), HasSubstr("leader n")), Millis(20000)))
      << top.ScreenText();
  top.Type("q");
  EXPECT_EQ(top.AwaitEnd(), 0);
}

}  // namespace
}  // namespace raftkv::integration
