#include "tests/simulation/scheduler.h"

#include <glog/logging.h>

#include <algorithm>
#include <utility>

namespace raftkv::simulation {

void Scheduler::After(SimTime delay, Event event) {
  CHECK_GE(delay, 0);
  heap_.push_back({.when = now_ + delay, .order = next_order_++, .event = std::move(event)});
  std::push_heap(heap_.begin(), heap_.end(), IsLater);
}

bool Scheduler::RunNext() {
  if (heap_.empty()) {
    return false;
  }
  std::pop_heap(heap_.begin(), heap_.end(), IsLater);
  const Item item = std::move(heap_.back());
  heap_.pop_back();
  now_ = item.when;
  ++events_run_;
  item.event();
  return true;
}

}  // namespace raftkv::simulation
