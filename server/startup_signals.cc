#include "server/startup_signals.h"

#include <glog/logging.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/stderr_pump.h"

namespace raftkv::server {
namespace {

int OpenSignals() {
  const sigset_t signals = AwaitedSignals();
  return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

}  // namespace

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
}

sigset_t HarmlessSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGHUP);
  sigaddset(&signals, SIGUSR1);
  sigaddset(&signals, SIGUSR2);
  return signals;
}

sigset_t AwaitedSignals() {
  const sigset_t stop = StopSignals();
  const sigset_t harmless = HarmlessSignals();
  sigset_t both;
  sigorset(&both, &stop, &harmless);
  return both;
}

void LogHarmlessSignal(int signal) {
  if (signal == SIGHUP) {
    LOG(INFO) << "SIGHUP: nothing to reload or reopen: flags are read at the start only, and the "
                 "log goes to stderr";
  } else {
    LOG(INFO) << "SIG" << sigabbrev_np(signal) << ": ignored, it has no meaning here";
  }
}

StartupSignals::StartupSignals()
    : signals_fd_(OpenSignals()), end_fd_(eventfd(0, EFD_CLOEXEC)), thread_([this] { Await(); }) {
  CHECK_GE(signals_fd_, 0) << "signalfd: " << strerror(errno);
  CHECK_GE(end_fd_, 0) << "eventfd: " << strerror(errno);
}

StartupSignals::~StartupSignals() {
  CHECK_EQ(eventfd_write(end_fd_, 1), 0);
  thread_.join();
  close(end_fd_);
  close(signals_fd_);
}

void StartupSignals::Await() {
  pollfd ready[] = {{.fd = signals_fd_, .events = POLLIN, .revents = 0},
                    {.fd = end_fd_, .events = POLLIN, .revents = 0}};
  // A signal that is left unread here is the loop's.
  while (poll(ready, 2, /*timeout=*/-1) < 0 || ready[1].revents == 0) {
    signalfd_siginfo signal;
    if (read(signals_fd_, &signal, sizeof(signal)) != sizeof(signal)) {
      continue;
    }
    const sigset_t harmless = HarmlessSignals();
    if (sigismember(&harmless, static_cast<int>(signal.ssi_signo)) == 0) {
      LOG(INFO) << "stopping: a signal came before the start was over";
      ExitAtOnce(0);
    }
    LogHarmlessSignal(static_cast<int>(signal.ssi_signo));
  }
}

}  // namespace raftkv::server
