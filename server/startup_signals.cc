#include "server/startup_signals.h"

#include <glog/logging.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace raftkv::server {
namespace {

int OpenSignals() {
  const sigset_t signals = StopSignals();
  return signalfd(-1, &signals, SFD_CLOEXEC);
}

}  // namespace

sigset_t StopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  return signals;
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
  while (poll(ready, 2, /*timeout=*/-1) < 0) {
  }
  // A signal that is left unread here is the loop's.
  if (ready[1].revents == 0) {
    LOG(INFO) << "stopping: a signal came before the start was over";
    _exit(0);
  }
}

}  // namespace raftkv::server
