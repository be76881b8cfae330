// What will happen when: the only source of progress in a simulated cluster.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/clock.h"

namespace raftkv::simulation {

// True time since the start of a run, in nanoseconds. Nodes see it through clocks of their own
// (sim_clock.h).
using SimTime = int64_t;

// Runs events in the order of their times; events of equal time run in the order in which they were
// scheduled. Confined to one thread.
class Scheduler {
 public:
  using Event = std::function<void()>;

  SimTime now() const { return now_; }
  // REQUIRES: delay >= 0.
  void After(SimTime delay, Event event);
  // Moves time on to the next event and runs it. Returns false when there is none.
  bool RunNext();
  uint64_t events_run() const { return events_run_; }

 private:
  struct Item {
    SimTime when;
    uint64_t order;
    Event event;
  };
  // For a heap whose front is the next item.
  static bool IsLater(const Item& a, const Item& b) {
    return a.when != b.when ? a.when > b.when : a.order > b.order;
  }

  SimTime now_ = 0;
  uint64_t next_order_ = 0;
  uint64_t events_run_ = 0;
  std::vector<Item> heap_;
};

}  // namespace raftkv::simulation
