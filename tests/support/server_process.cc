#include "tests/support/server_process.h"

#include <arpa/inet.h>
#include <glog/logging.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tests/support/temp_dir.h"

namespace raftkv::integration {
namespace {

// Below Linux's range of ephemeral ports (32768 and up).
constexpr int kFirstPort = 15000;
constexpr int kPortCount = 15000;

bool CanListen(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  PCHECK(fd >= 0);
  // A port in TIME_WAIT can be listened on by a server, which sets this option as well.
  const int on = 1;
  PCHECK(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const bool free =
      bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 && listen(fd, 1) == 0;
  close(fd);
  return free;
}

void AddFlag(const std::string& flag, const std::string& value, std::vector<std::string>* argv) {
  if (!value.empty()) {
    argv->push_back(absl::StrCat("--", flag, "=", value));
  }
}

// The value of `key` in "key=value key=value ...", or "".
std::string Field(const std::string& line, const std::string& key) {
  for (absl::string_view word : absl::StrSplit(line, ' ')) {
    if (absl::ConsumePrefix(&word, absl::StrCat(key, "="))) {
      return std::string(word);
    }
  }
  return "";
}

}  // namespace

std::string RaftkvdPath() { return RAFTKVD_PATH; }
std::string RaftkvctlPath() { return RAFTKVCTL_PATH; }

ServerProcess::ServerProcess(ServerOptions options) : options_(std::move(options)) {
  CHECK(!options_.data_dir.empty());
}

void ServerProcess::Start() {
  CHECK(!running());
  ++runs_;
  log_path_ = absl::StrCat(options_.data_dir, ".run", runs_, ".log");
  std::vector<std::string> argv = {options_.program.empty() ? RaftkvdPath() : options_.program};
  AddFlag("name", options_.name, &argv);
  AddFlag("data_dir", options_.data_dir, &argv);
  AddFlag("listen_client", options_.listen_client, &argv);
  AddFlag("listen_peer", options_.listen_peer, &argv);
  argv.push_back(absl::StrCat("--listen_http=", options_.listen_http));
  AddFlag("initial_cluster", options_.initial_cluster, &argv);
  argv.insert(argv.end(), options_.flags.begin(), options_.flags.end());
  child_ = std::make_unique<ChildProcess>(ChildOptions{.argv = argv,
                                                       .env = options_.env,
                                                       .stdin_path = "",
                                                       .stdout_path = log_path_ + ".stdout",
                                                       .stderr_path = log_path_,
                                                       .working_dir = ""});
}

bool ServerProcess::WaitReady(Millis timeout) {
  const bool said_or_ended = WaitUntil(
      timeout, [&] { return ParseReadyLine() || !running(); }, Millis(10));
  return said_or_ended && ParseReadyLine();
}

bool ServerProcess::ParseReadyLine() {
  for (absl::string_view line : absl::StrSplit(Log(), '\n')) {
    const size_t at = line.find("raftkvd ready ");
    if (at != absl::string_view::npos) {
      const std::string ready(line.substr(at));
      client_address_ = Field(ready, "client");
      peer_address_ = Field(ready, "peer");
      http_address_ = Field(ready, "http");
      member_id_ = Field(ready, "id");
      return true;
    }
  }
  return false;
}

std::optional<ExitStatus> ServerProcess::WaitExit(Millis timeout) { return child_->Wait(timeout); }

void ServerProcess::Kill9() {
  Signal(SIGKILL);
  CHECK(WaitExit().has_value());
}

std::optional<ExitStatus> ServerProcess::Stop() {
  Signal(SIGTERM);
  return WaitExit();
}

void ServerProcess::Pause() { Signal(SIGSTOP); }
void ServerProcess::Resume() { Signal(SIGCONT); }

std::string ServerProcess::Log() const { return ReadWholeLines(log_path_); }

std::string ServerProcess::LogTail(size_t lines) const {
  const std::vector<std::string> all = absl::StrSplit(Log(), '\n');
  const size_t skipped = all.size() > lines ? all.size() - lines : 0;
  return absl::StrCat("--- ", log_path_, "\n",
                      absl::StrJoin(all.begin() + static_cast<ptrdiff_t>(skipped), all.end(), "\n"),
                      "\n");
}

CommandResult RunRaftkvd(const std::vector<std::string>& arguments,
                         const std::vector<std::string>& env) {
  std::vector<std::string> argv = {RaftkvdPath()};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return RunCommand(argv, "", env, Millis(20000));
}

int PickFreePort() {
  static int next = static_cast<int>(std::random_device()() % kPortCount);
  for (int tries = 0; tries < kPortCount; ++tries) {
    next = (next + 1) % kPortCount;
    if (CanListen(kFirstPort + next)) {
      return kFirstPort + next;
    }
  }
  LOG(FATAL) << "no free port";
}

std::string Loopback(int port) { return absl::StrCat("127.0.0.1:", port); }

}  // namespace raftkv::integration
