// A raftkvd as an operator runs it: flags in, a ready line out, signals, an exit status.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/child_process.h"

namespace raftkv::integration {

// The programs under test.
std::string RaftkvdPath();
std::string RaftkvctlPath();

inline constexpr ExitStatus kDirectoryUnusable{.code = 2};

inline constexpr int64_t kMiB = 1 << 20;

struct ServerOptions {
  // Empty leaves the flag away.
  std::string name;
  std::string data_dir;
  std::string listen_client = "127.0.0.1:0";
  std::string listen_peer = "127.0.0.1:0";
  // Empty is off, and not the default, which two members of one machine cannot both have.
  std::string listen_http = {};
  std::string initial_cluster;
  // More flags, as typed.
  std::vector<std::string> flags;
  std::vector<std::string> env;
  // Empty: RaftkvdPath().
  std::string program = {};
};

// One member across several runs: Start after an exit uses the same flags and directory again.
// Every run logs to a file of its own beside the data directory. Confined to the thread that starts
// it.
class ServerProcess {
 public:
  explicit ServerProcess(ServerOptions options);

  // Starts the process without waiting for it. REQUIRES: not running.
  void Start();
  // Waits until this run has printed its ready line. False when it ended or `timeout` has passed
  // before.
  [[nodiscard]] bool WaitReady(Millis timeout = Millis(20000));
  // How this run ended, or nothing when it still runs after `timeout`.
  std::optional<ExitStatus> WaitExit(Millis timeout = Millis(20000));

  // kill -9, and waits for the end.
  void Kill9();
  // SIGTERM; the exit status, or nothing when it does not end in 20 s.
  std::optional<ExitStatus> Stop();
  void Pause();
  void Resume();
  void Signal(int signal) { child_->Signal(signal); }
  bool running() { return child_ != nullptr && child_->running(); }
  pid_t pid() const { return child_->pid(); }

  // What the ready line said. REQUIRES: WaitReady succeeded for this run.
  const std::string& client_address() const { return client_address_; }
  const std::string& peer_address() const { return peer_address_; }
  // "off" when there is none.
  const std::string& http_address() const { return http_address_; }
  const std::string& member_id() const { return member_id_; }

  // Every line that this run has logged so far, without one that it is still writing.
  std::string Log() const;
  const std::string& log_path() const { return log_path_; }
  // What the next Start uses.
  ServerOptions& options() { return options_; }
  // The last lines of this run's log, for failure messages.
  std::string LogTail(size_t lines = 25) const;

 private:
  bool ParseReadyLine();

  ServerOptions options_;
  std::unique_ptr<ChildProcess> child_;
  int runs_ = 0;
  std::string log_path_;
  std::string client_address_;
  std::string peer_address_;
  std::string http_address_;
  std::string member_id_;
};

// Runs raftkvd with these arguments to its end.
CommandResult RunRaftkvd(const std::vector<std::string>& arguments,
                         const std::vector<std::string>& env = {});

// A port of 127.0.0.1 that nobody listens on now and that the kernel does not hand out for outgoing
// connections, so that it is still free for a restart.
int PickFreePort();
std::string Loopback(int port);

}  // namespace raftkv::integration
