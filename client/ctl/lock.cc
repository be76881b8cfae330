#include "client/ctl/lock.h"

#include <sys/wait.h>

#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/ctl/output.h"
#include "client/ctl/spawn.h"
#include "client/recipes.h"

namespace raftkv::ctl {
namespace {

constexpr int kCannotRun = 127;
constexpr int kEndedBySignal = 128;
// How often it looks for signals, and for a lock that is lost.
constexpr MonotonicNanos kLookInterval = 50 * kNanosPerMilli;
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

volatile std::sig_atomic_t g_signal = 0;

void NoteSignal(int signal) { g_signal = signal; }

// While it lives, signals are noted instead of ending the process.
class NotedSignals final {
 public:
  NotedSignals() {
    g_signal = 0;
    struct sigaction action = {};
    action.sa_handler = NoteSignal;
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      sigaction(kSignals[i], &action, &before_[i]);
    }
  }
  ~NotedSignals() {
    for (size_t i = 0; i < std::size(kSignals); ++i) {
      sigaction(kSignals[i], &before_[i], nullptr);
    }
  }
  NotedSignals(const NotedSignals&) = delete;
  NotedSignals& operator=(const NotedSignals&) = delete;

 private:
  struct sigaction before_[std::size(kSignals)] = {};
};

ExitCode Fail(const absl::Status& status, const GlobalOptions& global, const Terminal& terminal) {
  terminal.err << (global.format == OutputFormat::kJson
                       ? FormatErrorJson(status)
                       : absl::StrCat("Error: ", DescribeError(status, global.endpoints), "\n"));
  return ExitCodeFor(status);
}

// The exit of a child, which a thread waits for.
class ChildWatch final {
 public:
  explicit ChildWatch(pid_t pid)
      : pid_(pid), thread_([this] {
          const int status = AwaitExit(pid_);
          MutexLock lock(&mutex_);
          status_ = status;
          changed_.NotifyAll();
        }) {}
  ~ChildWatch() { thread_.join(); }
  ChildWatch(const ChildWatch&) = delete;
  ChildWatch& operator=(const ChildWatch&) = delete;

  // nullopt when it still runs after so long.
  std::optional<int> Await(MonotonicNanos at_most) {
    MutexLock lock(&mutex_);
    if (!status_.has_value()) {
      changed_.WaitFor(&mutex_, at_most);
    }
    return status_;
  }
  // REQUIRES: Await said that it still runs.
  void Signal(int signal) const { kill(pid_, signal); }

 private:
  const pid_t pid_;
  Mutex mutex_;
  CondVar changed_;
  std::optional<int> status_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

ExitCode RunHolding(const LockCommand& command, const Lock& lock, const Terminal& terminal) {
  const absl::StatusOr<pid_t> pid =
      Spawn(command.command, {absl::StrCat("RAFTKV_FENCING_TOKEN=", lock.fencing_token()),
                              absl::StrCat("RAFTKV_LOCK_KEY=", lock.key())});
  if (!pid.ok()) {
    terminal.err << "Error: " << pid.status().message() << "\n";
    return static_cast<ExitCode>(kCannotRun);
  }
  ChildWatch child(*pid);
  bool lost = false;
  std::optional<int> status;
  for (status = child.Await(kLookInterval); !status.has_value();
       status = child.Await(kLookInterval)) {
    if (const int signal = std::exchange(g_signal, 0); signal != 0) {
      child.Signal(signal);
    }
    const absl::Status held = lock.Check();
    if (!held.ok() && !std::exchange(lost, true)) {
      terminal.err << "Error: the lock is lost, so the command is ended: " << held.message()
                   << "\n";
      child.Signal(SIGTERM);
    }
  }
  if (lost) {
    return ExitCode::kError;
  }
  return static_cast<ExitCode>(WIFEXITED(*status) ? WEXITSTATUS(*status)
                                                  : kEndedBySignal + WTERMSIG(*status));
}

ExitCode Hold(const Lock& lock, OutputFormat format, const Terminal& terminal) {
  terminal.out << FormatHeld(format, lock.key(), lock.fencing_token());
  terminal.out.flush();
  while (g_signal == 0) {
    if (const absl::Status held = lock.WaitWhileHeld(absl::Nanoseconds(kLookInterval));
        !held.ok()) {
      terminal.err << "Error: the lock is lost: " << held.message() << "\n";
      return ExitCode::kError;
    }
  }
  return ExitCode::kOk;
}

}  // namespace

ExitCode RunLock(const LockCommand& command, const GlobalOptions& global, Client& client,
                 const Terminal& terminal) {
  const NotedSignals signals;
  const absl::StatusOr<std::unique_ptr<Lock>> lock = Lock::Acquire(
      client, command.name,
      {.ttl = command.ttl, .wait = command.wait, .value = command.value, .cancelled = [] {
         return g_signal != 0;
       }});
  if (!lock.ok()) {
    return Fail(lock.status(), global, terminal);
  }
  return command.command.empty() ? Hold(**lock, global.format, terminal)
                                 : RunHolding(command, **lock, terminal);
}

}  // namespace raftkv::ctl
