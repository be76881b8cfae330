#include "base/stderr_pump.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"

// There when a sanitizer is linked.
extern "C" void __sanitizer_set_report_fd(void* fd) __attribute__((weak));

namespace raftkv {
namespace {

std::atomic<StderrPump*> pump_of_stderr{nullptr};

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

// Not std::chrono: this runs in signal handlers.
MonotonicNanos Now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * kNanosPerSecond + now.tv_nsec;
}

void OnFatalSignal(int signal) {
  FlushStderr();
  // The handler is off again: now the signal ends the process.
  raise(signal);
}

}  // namespace

StderrPump* StderrPump::Start(int out) {
  // The threads leave every signal to those who look for it.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  auto* pump = new StderrPump(out);
  std::thread([pump] { pump->TakeForever(); }).detach();
  std::thread([pump] { pump->WriteForever(); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return pump;
}

StderrPump::StderrPump(int out) : out_(out) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    Die("cannot make a pipe for standard error");
  }
  taken_from_ = ends[0];
  input_ = ends[1];
}

void StderrPump::TakeForever() {
  char bytes[1 << 16];
  pollfd readable = {.fd = taken_from_, .events = POLLIN, .revents = 0};
  while (true) {
    poll(&readable, 1, /*timeout=*/-1);
    // Before the pipe is empty, so that Drain sees the bytes in one place or the other.
    taking_ = true;
    const ssize_t size = read(taken_from_, bytes, sizeof(bytes));
    if (size > 0) {
      Take({bytes, static_cast<size_t>(size)});
    }
    taking_ = false;
  }
}

void StderrPump::Take(absl::string_view bytes) {
  const MutexLock lock(&mutex_);
  while (!bytes.empty()) {
    const size_t end = bytes.find('\n');
    const bool line_ends = end != absl::string_view::npos;
    const absl::string_view line = line_ends ? bytes.substr(0, end + 1) : bytes;
    if (at_line_start_) {
      // Once a line is lost, so are the next, until the loss is written: it stands for all of them.
      dropping_ = dropped_ > 0 || queue_.size() >= kQueueBytesMax;
    } else if (queue_.size() >= kQueueBytesMax + kLineBytesMax) {
      dropping_ = true;
    }
    if (!dropping_) {
      queue_.append(line.data(), line.size());
    } else if (line_ends) {
      ++dropped_;
    }
    at_line_start_ = line_ends;
    bytes.remove_prefix(line.size());
  }
  written_ = false;
  filled_.NotifyOne();
}

void StderrPump::WriteForever() {
  while (true) {
    std::string batch;
    uint64_t dropped = 0;
    {
      const MutexLock lock(&mutex_);
      while (queue_.empty() && dropped_ == 0) {
        written_ = true;
        filled_.Wait(&mutex_);
      }
      std::swap(batch, queue_);
      std::swap(dropped, dropped_);
    }
    WriteLoss();
    unsaid_ += Write(batch) + dropped;
    WriteLoss();
  }
}

uint64_t StderrPump::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = write(out_, bytes.data(), bytes.size());
    if (size > 0) {
      last_written_ = bytes[static_cast<size_t>(size) - 1];
      bytes.remove_prefix(static_cast<size_t>(size));
    } else if (size < 0 && errno == EAGAIN) {
      // Somebody who shares it has made it non-blocking.
      pollfd writable = {.fd = out_, .events = POLLOUT, .revents = 0};
      poll(&writable, 1, /*timeout=*/-1);
    } else if (size == 0 || errno != EINTR) {
      break;
    }
  }
  return static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
}

void StderrPump::WriteLoss() {
  if (unsaid_ == 0) {
    return;
  }
  const std::string line =
      absl::StrCat(last_written_ == '\n' ? "" : "\n", "raftkvd: ", unsaid_,
                   " lines lost: nobody took them from standard error in time\n");
  if (Write(line) == 0) {
    unsaid_ = 0;
  }
}

bool StderrPump::Drain(MonotonicNanos limit) const {
  const MonotonicNanos deadline = Now() + limit;
  while (!HasLeft()) {
    if (Now() >= deadline) {
      return false;
    }
    const timespec moment = {.tv_sec = 0, .tv_nsec = kNanosPerMilli};
    nanosleep(&moment, nullptr);
  }
  return true;
}

// The way of the bytes, in its order: what has left one place is in the next already.
bool StderrPump::HasLeft() const {
  int in_pipe = 0;
  return ioctl(taken_from_, FIONREAD, &in_pipe) == 0 && in_pipe == 0 && !taking_ && written_;
}

void TakeStderr() {
  const int out = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (out < 0) {
    Die("cannot keep standard error");
  }
  StderrPump* pump = StderrPump::Start(out);
  if (dup2(pump->input(), STDERR_FILENO) < 0) {
    Die("cannot replace standard error");
  }
  pump_of_stderr = pump;
  std::atexit(FlushStderr);
  if (__sanitizer_set_report_fd != nullptr) {
    __sanitizer_set_report_fd(reinterpret_cast<void*>(static_cast<intptr_t>(out)));
  }
  for (const int signal : {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGFPE}) {
    struct sigaction action = {};
    // Whoever has a handler already, as sanitizers do, has something better to say.
    if (sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_DFL) {
      action.sa_handler = OnFatalSignal;
      action.sa_flags = SA_RESETHAND | SA_NODEFER;
      sigaction(signal, &action, nullptr);
    }
  }
}

void FlushStderr() {
  if (const StderrPump* pump = pump_of_stderr; pump != nullptr) {
    pump->Drain(kLastWordsNanos);
  }
}

void ExitAtOnce(int code) {
  FlushStderr();
  _exit(code);
}

}  // namespace raftkv
