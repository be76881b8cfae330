// The events of one process: they end with it, and wait while it is stopped.
#pragma once

#include <deque>
#include <memory>
#include <utility>

#include "tests/simulation/scheduler.h"

namespace raftkv::simulation {

// Confined to one thread.
class ProcessEvents {
 public:
  explicit ProcessEvents(Scheduler* scheduler) : scheduler_(*scheduler) {}
  ~ProcessEvents() { *alive_ = false; }
  ProcessEvents(const ProcessEvents&) = delete;
  ProcessEvents& operator=(const ProcessEvents&) = delete;

  // Runs the event in the process, if that still lives, `delay` from now or once it goes on.
  void After(SimTime delay, Scheduler::Event event) {
    scheduler_.After(delay, [this, alive = alive_, event = std::move(event)]() mutable {
      if (*alive) {
        Now(std::move(event));
      }
    });
  }
  // The same at once.
  void Now(Scheduler::Event event) {
    if (stopped_) {
      waiting_.push_back(std::move(event));
    } else {
      event();
    }
  }
  // Runs in the machine, whatever becomes of the process.
  void InMachineAfter(SimTime delay, Scheduler::Event event) {
    scheduler_.After(delay, std::move(event));
  }
  // A token that becomes false when the process ends.
  std::shared_ptr<const bool> alive() const { return alive_; }

  // SIGSTOP and SIGCONT.
  void Stop() { stopped_ = true; }
  void Continue() {
    stopped_ = false;
    const std::shared_ptr<const bool> alive = alive_;
    for (Scheduler::Event& event : std::exchange(waiting_, {})) {
      if (!*alive) {
        return;
      }
      Now(std::move(event));
    }
  }
  bool stopped() const { return stopped_; }

 private:
  Scheduler& scheduler_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool stopped_ = false;
  std::deque<Scheduler::Event> waiting_;
};

}  // namespace raftkv::simulation
