// Child processes of a test: started with what a user would type, observed through exit status and
// output files.
#pragma once

#include <sys/types.h>

#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "tests/support/wait.h"

namespace raftkv::integration {

// How a process ended: `code` when it exited by itself, `signal` when it was killed; the other one
// is -1.
struct ExitStatus {
  int code = -1;
  int signal = -1;

  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
  friend std::ostream& operator<<(std::ostream& out, const ExitStatus& status);
};

inline constexpr ExitStatus kOk{.code = 0};

struct ChildOptions {
  // Program (a path, or a name looked up in PATH) and arguments.
  std::vector<std::string> argv;
  // Added to this process's environment, "NAME=value"; RAFTKV_* and RAFTKVCTL_* of this process are
  // not passed on.
  std::vector<std::string> env;
  // Where the standard streams go; empty is /dev/null.
  std::string stdin_path;
  std::string stdout_path;
  std::string stderr_path;
  // Working directory; empty is this process's.
  std::string working_dir;
};

// One child. Killed when the object or the thread that started it goes away, so start it from a
// thread that outlives it. Confined to one thread.
class ChildProcess {
 public:
  // Dies when the process cannot be made; a program that is not there shows as exit code 127.
  explicit ChildProcess(const ChildOptions& options);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  // Sends a signal, unless the process is known to have ended.
  void Signal(int signal) const;
  // How the process ended, or nothing when it still runs after `timeout`.
  std::optional<ExitStatus> Wait(Millis timeout);
  bool running() { return !Wait(Millis(0)).has_value(); }

 private:
  pid_t pid_ = -1;
  int pidfd_ = -1;
  std::optional<ExitStatus> exit_;
};

struct CommandResult {
  ExitStatus exit;
  std::string out;
  std::string err;

  friend std::ostream& operator<<(std::ostream& out, const CommandResult& result);
};

// Runs a command to its end and returns what it said. After `timeout` it is killed, which shows as
// signal 9.
CommandResult RunCommand(const std::vector<std::string>& argv, const std::string& input = "",
                         const std::vector<std::string>& env = {}, Millis timeout = Millis(30000));

// The program's path when it is executable: `name` itself when it holds a slash, else the first
// match in PATH; empty when there is none.
std::string FindProgram(const std::string& name);

}  // namespace raftkv::integration
