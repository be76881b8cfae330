// Stop leads a member from the first reason to stop to the end of its connections:
// what is under way gets its answer, what is not done in time gets one as well,
// and the last answers a moment to leave.
#pragma once

#include <cstdint>
#include <functional>

#include "base/clock.h"

namespace raftkv::server {

// Confined to the loop.
class Stop {
 public:
  // Called in this order, each once.
  struct Steps {
    std::function<void()> refuse_new;
    // Answers all that still waits.
    std::function<void()> answer_all;
    // Ends the connections, and then the loop.
    std::function<void()> end_connections;
  };

  // `in_flight` tells how many calls wait for an answer.
  Stop(const MonotonicClock* clock, std::function<uint64_t()> in_flight, Steps steps);

  bool begun() const { return began_ != 0; }
  // The first call counts; `exit_code` is what the process is to end with.
  void Begin(int exit_code);
  int exit_code() const { return exit_code_; }
  // Takes the next step when its time has come, and looks for signals: SIGTERM and SIGINT begin the
  // stop, a second one ends the process at once. Called every tick.
  void Tick();

 private:
  void TakeSignals();
  void Continue();

  const MonotonicClock& clock_;
  const std::function<uint64_t()> in_flight_;
  const Steps steps_;
  int exit_code_ = 0;
  // 0: not yet.
  MonotonicNanos began_ = 0;
  MonotonicNanos answered_ = 0;
  bool ended_ = false;
};

}  // namespace raftkv::server
