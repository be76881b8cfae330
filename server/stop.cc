#include "server/stop.h"

#include <glog/logging.h>
#include <signal.h>

#include <utility>

#include "base/stderr_pump.h"
#include "server/exit_code.h"
#include "server/startup_signals.h"

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kDrainLimit = 5 * kNanosPerSecond;
// Between the last answer and the end of the connections, so that it still gets out.
constexpr MonotonicNanos kFarewellNanos = 100 * kNanosPerMilli;

}  // namespace

Stop::Stop(const MonotonicClock* clock, std::function<uint64_t()> in_flight, Steps steps)
    : clock_(*clock), in_flight_(std::move(in_flight)), steps_(std::move(steps)) {}

void Stop::Begin(int exit_code) {
  if (begun()) {
    return;
  }
  exit_code_ = exit_code;
  began_ = clock_.Now();
  steps_.refuse_new();
}

void Stop::Tick() {
  TakeSignals();
  if (begun()) {
    Continue();
  }
}

// They are blocked everywhere, so they wait here to be looked at.
void Stop::TakeSignals() {
  const sigset_t harmless = HarmlessSignals();
  const timespec no_wait = {};
  if (const int signal = sigtimedwait(&harmless, nullptr, &no_wait); signal > 0) {
    LogHarmlessSignal(signal);
  }
  const sigset_t stop = StopSignals();
  const int signal = sigtimedwait(&stop, nullptr, &no_wait);
  if (signal < 0) {
    return;
  }
  if (begun()) {
    ExitAtOnce(kExitForced);
  }
  LOG(INFO) << "stopping: " << (signal == SIGTERM ? "SIGTERM" : "SIGINT");
  Begin(kExitOk);
}

void Stop::Continue() {
  const MonotonicNanos now = clock_.Now();
  if (answered_ != 0) {
    if (now - answered_ >= kFarewellNanos && !ended_) {
      ended_ = true;
      steps_.end_connections();
    }
    return;
  }
  if (in_flight_() == 0 || now - began_ >= kDrainLimit) {
    steps_.answer_all();
    answered_ = now;
  }
}

}  // namespace raftkv::server
