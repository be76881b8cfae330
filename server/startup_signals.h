// Stop signals while the main thread is busy starting: opening a database with a long log to replay
// takes a while, and nobody looks for signals then.
#pragma once

#include <signal.h>

#include <thread>

namespace raftkv::server {

// SIGTERM and SIGINT.
sigset_t StopSignals();
// Those that would end the process unheard, and mean nothing of the kind: SIGHUP, SIGUSR1, SIGUSR2.
sigset_t HarmlessSignals();
// Both. Whoever starts the process blocks them before it makes a thread, so that they wait for
// StartupSignals and then for the loop.
sigset_t AwaitedSignals();

// Says what a harmless signal did.
void LogHarmlessSignal(int signal);

// While it lives, a stop signal ends the process at once with exit 0. Nothing is answered yet, and
// a start may be cut off at any point as by kill -9. A harmless one is logged. REQUIRES:
// AwaitedSignals are blocked in all threads.
class StartupSignals final {
 public:
  StartupSignals();
  ~StartupSignals();
  StartupSignals(const StartupSignals&) = delete;
  StartupSignals& operator=(const StartupSignals&) = delete;

 private:
  void Await();

  // Constant after construction.
  const int signals_fd_;
  const int end_fd_;
  std::thread thread_;
};

}  // namespace raftkv::server
