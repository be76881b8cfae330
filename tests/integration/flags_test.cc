// Starting and stopping raftkvd: flags, environment, the ready line, signals.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/support/http2_client.h"
#include "tests/support/parallel.h"
#include "tests/support/single_node.h"

namespace raftkv::integration {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

std::vector<std::string> Lines(const std::string& text) {
  return absl::StrSplit(text, '\n', absl::SkipEmpty());
}

// Flags that do not clash with anything on this machine, before the ones under test.
std::vector<std::string> WithPorts(std::vector<std::string> flags) {
  flags.insert(flags.begin(),
               {"--listen_client=127.0.0.1:0", "--listen_peer=127.0.0.1:0", "--listen_http="});
  return flags;
}

void ExpectBadFlags(const std::vector<std::string>& flags,
                    const std::vector<std::string>& mentioned,
                    const std::vector<std::string>& env = {}) {
  const CommandResult result = RunRaftkvd(WithPorts(flags), env);
  SCOPED_TRACE(testing::PrintToString(flags) + testing::PrintToString(env));
  EXPECT_EQ(result.exit, (ExitStatus{.code = 1})) << result;
  EXPECT_THAT(Lines(result.err), SizeIs(1)) << result;
  for (const std::string& word : mentioned) {
    EXPECT_THAT(result.err, HasSubstr(word));
  }
}

TEST(BadFlagsTest, OneLineNamesFlagValueAndWhatIsAllowed) {
  ExpectBadFlags({"--no_such_flag=1"}, {"no_such_flag"});
  ExpectBadFlags({"extra"}, {"extra"});
  ExpectBadFlags({"--listen_client=127.0.0.1:70000"}, {"listen_client", "70000", "65535"});
  ExpectBadFlags({"--listen_client=nonsense"}, {"listen_client", "nonsense", "host:port"});
  ExpectBadFlags({"--listen_peer=127.0.0.1:x"}, {"listen_peer", "127.0.0.1:x"});
  ExpectBadFlags({"--listen_http=127.0.0.1"}, {"listen_http", "127.0.0.1", "host:port"});
  ExpectBadFlags({"--heartbeat_interval_ms=0"}, {"heartbeat_interval_ms", "0", "10"});
  ExpectBadFlags({"--heartbeat_interval_ms=soon"}, {"heartbeat_interval_ms", "soon"});
  ExpectBadFlags({"--election_timeout_ms=300"},
                 {"election_timeout_ms", "300", "5", "heartbeat_interval_ms", "100"});
  ExpectBadFlags({"--name=two words"}, {"name", "two words"});
  ExpectBadFlags({absl::StrCat("--name=", std::string(65, 'n'))}, {"name", "64"});
  ExpectBadFlags({"--name="}, {"name"});
  ExpectBadFlags({"--value_bytes_max=0"}, {"value_bytes_max", "0"});
  ExpectBadFlags({"--value_bytes_max=3145729"}, {"value_bytes_max", "3145729", "3145728"});
  ExpectBadFlags({"--request_timeout_ms=0"}, {"request_timeout_ms", "0"});
  ExpectBadFlags({"--log_bytes_max=1000KiB"}, {"log_bytes_max", "1000KiB", "1MiB"});
  ExpectBadFlags({"--memory_bytes_max=63MiB"}, {"memory_bytes_max", "63MiB", "64MiB"});
  ExpectBadFlags({"--log_bytes_max=much"}, {"log_bytes_max", "much", "1MiB"});
  ExpectBadFlags({"--advertise_client=0.0.0.0:2379"}, {"advertise_client", "0.0.0.0:2379"});
  ExpectBadFlags({"--advertise_peer=:2380"}, {"advertise_peer", ":2380"});
  ExpectBadFlags({"--auto_replace=true"}, {"auto_replace", "true", "peer_client_cert_auth"});
}

TEST(BadFlagsTest, TheFoundingListIsChecked) {
  const std::string two = "n1=127.0.0.1:1,n2=127.0.0.1:2";
  ExpectBadFlags({"--name=n9", "--initial_cluster=" + two}, {"initial_cluster", "n9"});
  ExpectBadFlags({"--name=n1", "--initial_cluster=n1=127.0.0.1:1,n1=127.0.0.1:2"},
                 {"initial_cluster", "n1", "twice"});
  ExpectBadFlags({"--name=n1", "--initial_cluster=n1=127.0.0.1:1,n2=127.0.0.1:1"},
                 {"initial_cluster", "127.0.0.1:1", "twice"});
  ExpectBadFlags({"--name=n1", "--initial_cluster=n1"}, {"initial_cluster", "n1"});
  ExpectBadFlags({"--name=n1", "--initial_cluster=n1=0.0.0.0:1"}, {"initial_cluster", "0.0.0.0:1"});
  ExpectBadFlags({"--name=n1", "--initial_cluster=n1=127.0.0.1:0"},
                 {"initial_cluster", "127.0.0.1:0"});
  ExpectBadFlags({"--name=n1", "--initial_cluster=" + two + ","}, {"initial_cluster"});
}

TEST(BadFlagsTest, FlagsOfOtherStoresNameOurs) {
  ExpectBadFlags({"-id", "1"}, {"-id", "--name"});
  ExpectBadFlags({"-node-id=n1"}, {"-node-id", "--name"});
  ExpectBadFlags({"-addr", ":8080"}, {"-addr", "--listen_"});
  ExpectBadFlags({"-http=:8080"}, {"-http", "--listen_http"});
  ExpectBadFlags({"--peers=a:1,b:2"}, {"-peers", "--initial_cluster"});
  ExpectBadFlags({"-raft-addr", ":9000"}, {"-raft-addr", "--listen_peer"});
}

TEST(BadFlagsTest, ABadEnvironmentIsNamed) {
  ExpectBadFlags({}, {"RAFTKV_VALUE_BYTES_MAX", "much"}, {"RAFTKV_VALUE_BYTES_MAX=much"});
  ExpectBadFlags({}, {"value_bytes_max", "0"}, {"RAFTKV_VALUE_BYTES_MAX=0"});
}

TEST(HelpTest, ExitsWithZeroAndShowsEveryFlag) {
  const CommandResult help = RunRaftkvd({"--help"});
  EXPECT_EQ(help.exit, (ExitStatus{.code = 0})) << help;
  const std::string text = help.out + help.err;
  for (const char* flag :
       {"name", "data_dir", "listen_client", "listen_peer", "listen_http", "advertise_peer",
        "advertise_client", "initial_cluster", "auto_replace", "heartbeat_interval_ms",
        "election_timeout_ms", "priority", "value_bytes_max", "request_timeout_ms",
        "memory_bytes_max", "log_bytes_max"}) {
    EXPECT_THAT(text, HasSubstr(flag));
  }
  const CommandResult version = RunRaftkvd({"--version"});
  EXPECT_EQ(version.exit, (ExitStatus{.code = 0})) << version;
}

TEST(StartTest, TheReadyLineSaysWhereEverythingIs) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  const std::string log = node.server().Log();
  const std::string ready = log.substr(log.find("raftkvd ready"));
  EXPECT_THAT(ready, AllOf(HasSubstr("name=default"), HasSubstr("id=1"),
                           HasSubstr("client=127.0.0.1:"), HasSubstr("peer=127.0.0.1:"),
                           HasSubstr("http=off "), HasSubstr("data=" + node.data_dir())));
  EXPECT_FALSE(absl::EndsWith(node.server().client_address(), ":0")) << "the real port";
  EXPECT_FALSE(absl::EndsWith(node.server().peer_address(), ":0"));
  EXPECT_LE(Lines(log.substr(0, log.find("raftkvd ready"))).size(), 12U) << "a start is readable:\n"
                                                                         << log;
  EXPECT_THAT(log, Not(HasSubstr("RocksDB"))) << "nothing to warn of";
  struct stat status {};
  ASSERT_EQ(stat(node.data_dir().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700U);
  EXPECT_EQ(ReadFile(node.server().log_path() + ".stdout"), "") << "logs go to stderr";
}

TEST(StartTest, WithoutAnyFlagsItIsAWorkingStore) {
  TempDir dir;
  ChildProcess server({.argv = {RaftkvdPath()},
                       .env = {},
                       .stdin_path = "",
                       .stdout_path = "",
                       .stderr_path = dir.File("log"),
                       .working_dir = dir.path()});
  ASSERT_TRUE(WaitUntil(Millis(10000), [&] {
    return absl::StrContains(ReadFile(dir.File("log")), "raftkvd ready") || !server.running();
  }));
  if (!server.running() && absl::StrContains(ReadFile(dir.File("log")), "in use")) {
    GTEST_SKIP() << "port 2379, 2380 or 8080 is in use on this machine";
  }
  EXPECT_THAT(ReadFile(dir.File("log")), HasSubstr(" http=127.0.0.1:8080 "));
  NodeClient client("127.0.0.1:2379");
  EXPECT_TRUE(client.PutText("a", "1").ok());
  EXPECT_EQ(client.GetText("a")->kv().text(), "1");
  EXPECT_TRUE(std::filesystem::exists(dir.File("default.raftkv/FORMAT")));
}

TEST(StartTest, DashesInFlagsAndTheEnvironmentWorkAndFlagsWin) {
  TempDir dir;
  ServerProcess server({.name = "",
                        .data_dir = dir.File("ignored"),
                        .listen_client = "127.0.0.1:0",
                        .listen_peer = "127.0.0.1:0",
                        .initial_cluster = "",
                        .flags = {"--data-dir=" + dir.File("dashes"), "--value-bytes-max", "20"},
                        .env = {"RAFTKV_NAME=from-env", "RAFTKV_VALUE_BYTES_MAX=10",
                                "RAFTKV_NO_SUCH_FLAG=x", "RAFTKV_TEST_SOMETHING=y"}});
  server.Start();
  ASSERT_TRUE(server.WaitReady()) << server.LogTail();
  EXPECT_THAT(server.Log(), HasSubstr("name=from-env"));
  EXPECT_TRUE(std::filesystem::exists(dir.File("dashes/FORMAT")));
  NodeClient client(server.client_address());
  EXPECT_TRUE(client.PutText("a", std::string(20, 'x')).ok());
  EXPECT_EQ(client.PutText("a", std::string(21, 'x')).reason, "VALUE_TOO_LARGE");
}

// As a unit of Type=notify has it.
TEST(StartTest, TheServiceManagerHearsThatItIsReady) {
  const TempDir dir;
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string path = dir.File("notify");
  ASSERT_LT(path.size(), sizeof(address.sun_path));
  memcpy(address.sun_path, path.data(), path.size());
  const int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(manager, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  const timeval timeout = {.tv_sec = 10, .tv_usec = 0};
  ASSERT_EQ(setsockopt(manager, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)), 0);
  SingleNode node;
  node.server().options().env.push_back("NOTIFY_SOCKET=" + path);
  ASSERT_TRUE(node.Start());
  char heard[100];
  const ssize_t size = recv(manager, heard, sizeof(heard), 0);
  close(manager);
  ASSERT_GT(size, 0) << strerror(errno);
  EXPECT_EQ(std::string(heard, static_cast<size_t>(size)), "READY=1");
}

TEST(StartTest, AManagerThatIsNotThereIsSaidAndDoesNotMatter) {
  const TempDir dir;
  SingleNode node;
  node.server().options().env.push_back("NOTIFY_SOCKET=" + dir.File("nobody"));
  ASSERT_TRUE(node.Start());
  EXPECT_THAT(node.server().Log(), HasSubstr("nobody: No such file or directory"));
}

TEST(StartTest, AnAddressInUseIsNamedWithItsFlag) {
  SingleNode node;
  node.server().options().listen_http = "127.0.0.1:0";
  ASSERT_TRUE(node.Start());
  for (const auto& [flag, address] : {std::pair("--listen_client", node.server().client_address()),
                                      std::pair("--listen_peer", node.server().peer_address()),
                                      std::pair("--listen_http", node.server().http_address())}) {
    std::vector<std::string> flags = WithPorts({absl::StrCat(flag, "=", address)});
    const CommandResult result = RunRaftkvd(flags);
    EXPECT_EQ(result.exit, (ExitStatus{.code = 1})) << result;
    EXPECT_THAT(result.err, AllOf(HasSubstr(flag), HasSubstr(address), HasSubstr("in use")));
  }
  EXPECT_TRUE(node.client().PutText("a", "1").ok()) << "the one that was there is unharmed";
}

// Of a name with the addresses 127.0.0.1 and 127.0.0.2.
const std::vector<std::string>& WithTwoAddresses() {
  static const auto* env =
      new std::vector<std::string>{absl::StrCat("LD_PRELOAD=", TWO_ADDRESSES_PATH)};
  return *env;
}

TEST(StartTest, EveryAddressOfANameIsListenedOn) {
  const TempDir dir;
  ServerProcess server({.name = "",
                        .data_dir = dir.File("data"),
                        .listen_client = "two-addresses.test:0",
                        .listen_peer = "two-addresses.test:0",
                        .listen_http = "two-addresses.test:0",
                        .initial_cluster = "",
                        .flags = {"--advertise_peer=127.0.0.1:1"},
                        .env = WithTwoAddresses()});
  server.Start();
  ASSERT_TRUE(server.WaitReady()) << server.LogTail();
  EXPECT_TRUE(absl::StartsWith(server.client_address(), "two-addresses.test:"));
  const std::string port = server.client_address().substr(server.client_address().find(':'));
  for (const std::string host : {"127.0.0.1", "127.0.0.2"}) {
    NodeClient client(host + port);
    EXPECT_TRUE(client.GetStatus().ok()) << host;
    const std::string http = server.http_address();
    close(ConnectTcp(host + http.substr(http.find(':'))));
  }
}

TEST(StartTest, ANameOfWhichOneAddressIsInUseIsRefused) {
  // Another server, on the second address only.
  const TempDir dir;
  ServerProcess other({.name = "",
                       .data_dir = dir.File("data"),
                       .listen_client = "127.0.0.2:0",
                       .listen_peer = "127.0.0.1:0",
                       .initial_cluster = "",
                       .flags = {},
                       .env = {}});
  other.Start();
  ASSERT_TRUE(other.WaitReady()) << other.LogTail();
  const std::string port = other.client_address().substr(other.client_address().find(':'));
  for (const std::string flag : {"--listen_client", "--listen_peer", "--listen_http"}) {
    const std::string both = flag + "=two-addresses.test" + port;
    std::vector<std::string> flags = WithPorts({"--data_dir=" + dir.File("own"), both});
    const CommandResult result = RunRaftkvd(flags, WithTwoAddresses());
    EXPECT_EQ(result.exit, (ExitStatus{.code = 1})) << result;
    EXPECT_THAT(result.err, AllOf(HasSubstr(both), HasSubstr("127.0.0.2" + port + ": "),
                                  HasSubstr("in use"), Not(HasSubstr("raftkvd ready"))));
  }
}

class StopTest : public testing::TestWithParam<int> {};

TEST_P(StopTest, TheSignalEndsItWithZero) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  ASSERT_TRUE(node.client().PutText("a", "1").ok());
  const Clock::time_point start = Clock::now();
  node.server().Signal(GetParam());
  EXPECT_EQ(node.server().WaitExit(), (ExitStatus{.code = 0}));
  EXPECT_LE(Since(start), Millis(6000));
  ASSERT_TRUE(node.Start());
  EXPECT_EQ(node.client().GetText("a")->kv().text(), "1");
}

// While it lives, a start of the node waits in the middle, for somebody to write the file that it
// reads.
class SlowStart {
 public:
  // Starts the node, which has run and stopped before, and returns once it waits.
  explicit SlowStart(SingleNode* node) : format_(node->data_dir() + "/FORMAT") {
    std::filesystem::rename(format_, format_ + ".kept");
    EXPECT_EQ(mkfifo(format_.c_str(), 0600), 0);
    node->server().Start();
    EXPECT_TRUE(WaitUntil(Millis(10000), [&] {
      fifo_ = open(format_.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC);
      return fifo_ >= 0;
    })) << "nobody reads it";
  }
  ~SlowStart() {
    close(fifo_);
    std::filesystem::rename(format_ + ".kept", format_);
  }

 private:
  const std::string format_;
  int fifo_ = -1;
};

TEST_P(StopTest, AStartThatTakesItsTimeIsCutOff) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  ASSERT_EQ(node.server().Stop(), (ExitStatus{.code = 0}));
  {
    const SlowStart start(&node);
    node.server().Signal(GetParam());
    ASSERT_EQ(node.server().WaitExit(Millis(5000)), (ExitStatus{.code = 0}));
  }
  EXPECT_TRUE(node.Start());
}

// As logrotate, `systemctl reload` or a terminal that is closed send them.
class HarmlessSignalTest : public testing::TestWithParam<int> {};

TEST_P(HarmlessSignalTest, IsSaidInTheLogAndChangesNothing) {
  const std::string line = absl::StrCat("] SIG", sigabbrev_np(GetParam()), ": ");
  SingleNode node;
  ASSERT_TRUE(node.Start());
  node.server().Signal(GetParam());
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] { return absl::StrContains(node.server().Log(), line); }))
      << node.server().LogTail();
  EXPECT_TRUE(node.client().PutText("a", "1").ok());
  EXPECT_EQ(node.server().Stop(), (ExitStatus{.code = 0}));

  const SlowStart start(&node);
  node.server().Signal(GetParam());
  EXPECT_TRUE(WaitUntil(Millis(5000), [&] { return absl::StrContains(node.server().Log(), line); }))
      << node.server().LogTail();
  EXPECT_TRUE(node.server().running());
  node.server().Signal(SIGTERM);
  EXPECT_EQ(node.server().WaitExit(Millis(5000)), (ExitStatus{.code = 0}));
}

INSTANTIATE_TEST_SUITE_P(Signals, HarmlessSignalTest, testing::Values(SIGHUP, SIGUSR1, SIGUSR2),
                         [](const testing::TestParamInfo<int>& param) {
                           return std::string("SIG") + sigabbrev_np(param.param);
                         });

TEST_P(StopTest, WorkThatIsUnderWayIsFinishedOrRefused) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  constexpr size_t kWrites = 4000;
  std::vector<char> acknowledged(kWrites, 0);
  std::vector<char> refused(kWrites, 0);
  std::atomic<size_t> done{0};
  std::thread writers([&] {
    ParallelFor(kWrites, 16, [&](size_t i) {
      const auto put = node.client().PutText(absl::StrCat("k", i), "x", Millis(3000));
      acknowledged[i] = put.ok();
      refused[i] = put.CertainlyNotApplied();
      ++done;
    });
  });
  EXPECT_TRUE(WaitUntil(
      Millis(10000), [&] { return done >= 500; }, Millis(1)));
  node.server().Signal(GetParam());
  EXPECT_EQ(node.server().WaitExit(), (ExitStatus{.code = 0}));
  writers.join();
  ASSERT_TRUE(node.Start());
  for (size_t i = 0; i < kWrites; ++i) {
    if (acknowledged[i] != 0 || refused[i] != 0) {
      const auto get = node.client().GetText(absl::StrCat("k", i));
      ASSERT_TRUE(get.ok()) << get;
      EXPECT_EQ(get->has_kv(), acknowledged[i] != 0) << "k" << i;
    }
  }
}

TEST_P(StopTest, CallsThatKeepComingDoNotDisturbIt) {
  SingleNode node;
  for (int stops = 0; stops < 5; ++stops) {
    ASSERT_TRUE(node.Start());
    NodeClient peer_port(node.server().peer_address());
    std::atomic<bool> over{false};
    std::thread callers([&] {
      ParallelFor(8, 8, [&](size_t i) {
        while (!over) {
          if (i % 2 == 0) {
            node.client().PutText("a", "1", Millis(500));
          } else {
            peer_port.CallRaw(i % 4 == 1 ? "/raftkv.peer.v1.RaftService/Hello"
                                         : "/raftkv.peer.v1.ForwardService/Forward",
                              "", Millis(500));
          }
        }
      });
    });
    EXPECT_TRUE(WaitUntil(Millis(5000), [&] { return node.client().GetStale("a")->has_kv(); }));
    node.server().Signal(GetParam());
    const std::optional<ExitStatus> exit = node.server().WaitExit();
    over = true;
    callers.join();
    ASSERT_EQ(exit, (ExitStatus{.code = 0})) << "stop " << stops;
  }
}

TEST(ProcessTest, OutlivesAReaderOfItsLogThatGoesAway) {
  SingleNode node;
  ASSERT_TRUE(node.Start());
  node.server().Signal(SIGPIPE);
  EXPECT_EQ(node.server().WaitExit(Millis(300)), std::nullopt);
  EXPECT_TRUE(node.client().GetStatus().ok());
}

TEST(ProcessTest, TakesAllTheFileDescriptorsThatItMayHave) {
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit low{.rlim_cur = 200, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &low), 0);
  SingleNode node;
  const bool started = node.Start();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(started);
  rlimit of_server;
  ASSERT_EQ(prlimit(node.server().pid(), RLIMIT_NOFILE, /*new_limit=*/nullptr, &of_server), 0);
  EXPECT_EQ(of_server.rlim_cur, before.rlim_max);
}

INSTANTIATE_TEST_SUITE_P(Signals, StopTest, testing::Values(SIGTERM, SIGINT),
                         [](const testing::TestParamInfo<int>& param) {
                           return param.param == SIGTERM ? "SIGTERM" : "SIGINT";
                         });

}  // namespace
}  // namespace raftkv::integration
