// Standard error that nobody reads, that is closed or refuses what is written: none of it keeps a
// member from its work or from its end.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/single_node.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr Millis kEndTimeout(10000);

// A member's log as a pipe, read only when the test says so. Made before the member starts.
class LogPipe {
 public:
  explicit LogPipe(const std::string& path) : path_(path) {
    EXPECT_EQ(mkfifo(path.c_str(), 0600), 0) << path;
    fd_ = open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
    EXPECT_GE(fd_, 0) << path;
    EXPECT_GT(fcntl(fd_, F_SETPIPE_SZ, 4096), 0);
  }
  ~LogPipe() {
    close(fd_);
    // What reads a member's log after a failure would wait for the pipe's end.
    unlink(path_.c_str());
  }
  LogPipe(const LogPipe&) = delete;
  LogPipe& operator=(const LogPipe&) = delete;

  // Leaves no room for one more byte.
  void Fill() const {
    while (write(fd_, "x", 1) == 1) {
    }
  }

  // Reads until `text` has come, and returns whether it did. `all` is what came in all.
  bool ReadUntil(const std::string& text, std::string* all) const {
    return WaitUntil(
        Millis(10000),
        [&] {
          char bytes[1 << 16];
          for (ssize_t size; (size = read(fd_, bytes, sizeof(bytes))) > 0;) {
            all->append(bytes, static_cast<size_t>(size));
          }
          return absl::StrContains(*all, text);
        },
        Millis(1));
  }

 private:
  std::string path_;
  int fd_ = -1;
};

// A member whose log is a pipe that is full from the start.
class StuckLogTest : public testing::Test {
 protected:
  void SetUp() override {
    log_.Fill();
    server_.Start();
    ASSERT_TRUE(Writes("started")) << "no write";
  }

  bool Writes(const std::string& key) {
    return WaitUntil(Millis(10000),
                     [&] { return client_.PutText(key, "value", Millis(1000)).ok(); });
  }

  TempDir dir_;
  std::string address_ = Loopback(PickFreePort());
  LogPipe log_{dir_.File("data.run1.log")};
  ServerProcess server_{{.name = "",
                         .data_dir = dir_.File("data"),
                         .listen_client = address_,
                         .listen_peer = "127.0.0.1:0",
                         .initial_cluster = "",
                         .flags = {},
                         .env = {}}};
  NodeClient client_{address_};
};

TEST_F(StuckLogTest, TheMemberServesAndTellsHowManyLinesWereLost) {
  // As one of its threads would: more lines than wait for a reader.
  const std::string stderr_path = absl::StrCat("/proc/", server_.pid(), "/fd/2");
  const int fd = open(stderr_path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(fd, 0);
  const std::string line = std::string(999, 'y') + "\n";
  for (int i = 0; i < 3000; ++i) {
    ASSERT_TRUE(WaitUntil(
        Millis(10000),
        [&] { return write(fd, line.data(), line.size()) == static_cast<ssize_t>(line.size()); },
        Millis(1)))
        << "a write of line " << i << " waits";
  }
  close(fd);
  EXPECT_TRUE(Writes("flooded"));

  std::string log;
  EXPECT_TRUE(log_.ReadUntil(" lines lost", &log)) << "nothing is said of a loss";
  EXPECT_THAT(log, HasSubstr("raftkvd ready "));
  server_.Signal(SIGTERM);
  EXPECT_TRUE(log_.ReadUntil("] stopped\n", &log)) << log.substr(log.size() - 1000);
  EXPECT_EQ(server_.WaitExit(), kOk);
}

TEST_F(StuckLogTest, SigtermEndsIt) {
  server_.Signal(SIGTERM);
  EXPECT_EQ(server_.WaitExit(kEndTimeout), kOk);
}

TEST_F(StuckLogTest, AnAbortEndsIt) {
  server_.Signal(SIGABRT);
  EXPECT_EQ(server_.WaitExit(kEndTimeout), (ExitStatus{.code = -1, .signal = SIGABRT}));
}

TEST(StuckLogClusterTest, TheClusterGoesOnUnderALeaderWhoseLogIsStuck) {
  TestCluster cluster;
  std::vector<std::unique_ptr<LogPipe>> logs;
  for (size_t node = 0; node < cluster.size(); ++node) {
    logs.push_back(std::make_unique<LogPipe>(cluster.data_dir(node) + ".run1.log"));
    cluster.server(node).Start();
  }
  const std::optional<size_t> leader = cluster.WaitForLeader();
  ASSERT_TRUE(leader.has_value());
  logs[*leader]->Fill();

  // It has something to say when a follower goes, and when it comes back.
  const size_t follower = cluster.Other(*leader);
  for (int round = 0; round < 2; ++round) {
    cluster.server(follower).Kill9();
    for (int i = 0; i < 10; ++i) {
      EXPECT_TRUE(cluster.client(*leader).PutText(absl::StrCat("down", i), "1", Millis(2000)).ok());
    }
    ASSERT_TRUE(cluster.Start(follower));
  }
  EXPECT_EQ(cluster.WaitForLeader(), leader);
  EXPECT_TRUE(cluster.WaitUntilEqual());
  cluster.server(*leader).Signal(SIGTERM);
  EXPECT_EQ(cluster.server(*leader).WaitExit(kEndTimeout), kOk);
}

// One member whose standard error is what `redirection` of a shell makes of it.
void RunWithStderr(const std::string& redirection) {
  TempDir dir;
  const std::string address = Loopback(PickFreePort());
  ChildProcess server(
      {.argv = {"/bin/sh", "-c", absl::StrCat("exec \"$@\" ", redirection), "sh", RaftkvdPath(),
                "--data_dir=" + dir.File("data"), "--listen_client=" + address,
                "--listen_peer=127.0.0.1:0", "--listen_http="},
       .env = {},
       .stdin_path = "",
       .stdout_path = "",
       .stderr_path = "",
       .working_dir = ""});
  NodeClient client(address);
  EXPECT_TRUE(WaitUntil(Millis(10000), [&] {
    return client.PutText("key", "value", Millis(1000)).ok();
  })) << "no write";
  const std::string stderr_path = absl::StrCat("/proc/", server.pid(), "/fd/2");
  EXPECT_THAT(std::filesystem::read_symlink(stderr_path).string(), StartsWith("pipe:"))
      << "nothing that the server opened for something else";
  server.Signal(SIGTERM);
  EXPECT_EQ(server.Wait(kEndTimeout), kOk);
  for (const auto& file : std::filesystem::recursive_directory_iterator(dir.File("data"))) {
    if (file.is_regular_file()) {
      EXPECT_FALSE(absl::StrContains(ReadFile(file.path()), "raftkvd ready ")) << file.path();
    }
  }
}

TEST(NoLogTest, AClosedStandardErrorIsNotMistakenForSomethingElse) {
  RunWithStderr("2>&-");
  RunWithStderr("0<&- 1>&- 2>&-");
}

TEST(NoLogTest, AFullDiskUnderTheLogMattersToNobody) { RunWithStderr("2>/dev/full"); }

}  // namespace
}  // namespace raftkv::integration
