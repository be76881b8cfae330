#include "tests/support/child_process.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tests/support/temp_dir.h"

namespace raftkv::integration {
namespace {

constexpr int kProgramNotFound = 127;

std::vector<std::string> ChildEnvironment(const std::vector<std::string>& added) {
  std::vector<std::string> result;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    // Which bug the programs of a build with mutants have.
    const bool is_mutant = absl::StartsWith(*entry, "RAFTKV_MUTANT=");
    if (is_mutant ||
        (!absl::StartsWith(*entry, "RAFTKV_") && !absl::StartsWith(*entry, "RAFTKVCTL_"))) {
      result.emplace_back(*entry);
    }
  }
  result.insert(result.end(), added.begin(), added.end());
  return result;
}

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& s : strings) {
    pointers.push_back(s.data());
  }
  pointers.push_back(nullptr);
  return pointers;
}

// Everything that the child needs, made before the fork: afterwards only async-signal-safe calls
// are allowed, because other threads of this process may have held any lock.
struct Prepared {
  std::vector<std::string> argv;
  std::vector<std::string> env;
  std::vector<char*> argv_pointers;
  std::vector<char*> env_pointers;
  std::string program;
  std::string stdin_path;
  std::string stdout_path;
  std::string stderr_path;
  std::string working_dir;
  pid_t parent;
};

bool Redirect(const std::string& path, int flags, int target) {
  const int fd = open(path.c_str(), flags, 0644);
  return fd >= 0 && dup2(fd, target) == target && (fd == target || close(fd) == 0);
}

[[noreturn]] void RunChild(const Prepared& prepared) {
  const bool ready = prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == prepared.parent &&
                     Redirect(prepared.stdin_path, O_RDONLY, STDIN_FILENO) &&
                     Redirect(prepared.stdout_path, O_WRONLY | O_CREAT | O_APPEND, STDOUT_FILENO) &&
                     Redirect(prepared.stderr_path, O_WRONLY | O_CREAT | O_APPEND, STDERR_FILENO) &&
                     (prepared.working_dir.empty() || chdir(prepared.working_dir.c_str()) == 0) &&
                     close_range(STDERR_FILENO + 1, ~0U, 0) == 0;
  if (ready) {
    execve(prepared.program.c_str(), prepared.argv_pointers.data(), prepared.env_pointers.data());
  }
  _exit(kProgramNotFound);
}

std::string OrNull(const std::string& path) { return path.empty() ? "/dev/null" : path; }

}  // namespace

std::ostream& operator<<(std::ostream& out, const ExitStatus& status) {
  if (status.signal >= 0) {
    return out << "killed by signal " << status.signal;
  }
  return out << "exit " << status.code;
}

std::ostream& operator<<(std::ostream& out, const CommandResult& result) {
  return out << result.exit << "\nstdout: " << result.out << "\nstderr: " << result.err;
}

ChildProcess::ChildProcess(const ChildOptions& options) {
  CHECK(!options.argv.empty());
  Prepared prepared{.argv = options.argv,
                    .env = ChildEnvironment(options.env),
                    .argv_pointers = {},
                    .env_pointers = {},
                    .program = FindProgram(options.argv[0]),
                    .stdin_path = OrNull(options.stdin_path),
                    .stdout_path = OrNull(options.stdout_path),
                    .stderr_path = OrNull(options.stderr_path),
                    .working_dir = options.working_dir,
                    .parent = getpid()};
  prepared.argv_pointers = Pointers(prepared.argv);
  prepared.env_pointers = Pointers(prepared.env);
  pid_ = fork();
  PCHECK(pid_ >= 0);
  if (pid_ == 0) {
    RunChild(prepared);
  }
  // By number: glibc 2.36 declares pidfd_open without C linkage.
  pidfd_ = static_cast<int>(syscall(SYS_pidfd_open, pid_, 0));
  PCHECK(pidfd_ >= 0);
}

ChildProcess::~ChildProcess() {
  Signal(SIGKILL);
  CHECK(Wait(Millis(30000)).has_value()) << "process " << pid_ << " does not die";
  close(pidfd_);
}

void ChildProcess::Signal(int signal) const {
  if (!exit_.has_value()) {
    PCHECK(kill(pid_, signal) == 0);
  }
}

std::optional<ExitStatus> ChildProcess::Wait(Millis timeout) {
  if (exit_.has_value()) {
    return exit_;
  }
  pollfd ended{.fd = pidfd_, .events = POLLIN, .revents = 0};
  if (poll(&ended, 1, static_cast<int>(timeout.count())) != 1) {
    return std::nullopt;
  }
  int status = 0;
  PCHECK(waitpid(pid_, &status, 0) == pid_);
  exit_ = WIFSIGNALED(status) ? ExitStatus{.code = -1, .signal = WTERMSIG(status)}
                              : ExitStatus{.code = WEXITSTATUS(status), .signal = -1};
  return exit_;
}

CommandResult RunCommand(const std::vector<std::string>& argv, const std::string& input,
                         const std::vector<std::string>& env, Millis timeout) {
  TempDir dir;
  ChildOptions options{.argv = argv,
                       .env = env,
                       .stdin_path = dir.File("in"),
                       .stdout_path = dir.File("out"),
                       .stderr_path = dir.File("err"),
                       .working_dir = dir.path()};
  WriteFile(options.stdin_path, input);
  ChildProcess child(options);
  std::optional<ExitStatus> exit = child.Wait(timeout);
  if (!exit.has_value()) {
    child.Signal(SIGKILL);
    exit = child.Wait(Millis(10000));
  }
  return {.exit = exit.value_or(ExitStatus{}),
          .out = ReadFile(options.stdout_path),
          .err = ReadFile(options.stderr_path)};
}

std::string FindProgram(const std::string& name) {
  if (absl::StrContains(name, "/")) {
    return access(name.c_str(), X_OK) == 0 ? name : "";
  }
  const char* path = std::getenv("PATH");
  for (absl::string_view folder : absl::StrSplit(path == nullptr ? "" : path, ':')) {
    const std::string candidate = std::string(folder) + "/" + name;
    if (access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
  }
  return "";
}

}  // namespace raftkv::integration
