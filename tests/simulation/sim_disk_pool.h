// The store's disk pool, whose threads are the scheduler's: work takes as long as a disk does.
#pragma once

#include <functional>
#include <utility>

#include "kv/disk_pool.h"
#include "tests/simulation/dice.h"
#include "tests/simulation/options.h"
#include "tests/simulation/process_events.h"

namespace raftkv::simulation {

// Confined to one thread. Ends with its process; work that is under way never comes back then.
class SimDiskPool final : public kv::DiskPool {
 public:
  // `on_done` is called after each piece of work.
  SimDiskPool(const SimOptions* options, ProcessEvents* events, Dice dice,
              std::function<void()> on_done)
      : options_(*options), events_(*events), dice_(dice), on_done_(std::move(on_done)) {}

  [[nodiscard]] bool Submit(Length /*length*/, Work work) override {
    events_.After(dice_.Between(options_.sync_min, options_.sync_max),
                  [this, work = std::move(work)] {
                    work()();
                    on_done_();
                  });
    return true;
  }

 private:
  const SimOptions& options_;
  ProcessEvents& events_;
  Dice dice_;
  const std::function<void()> on_done_;
};

}  // namespace raftkv::simulation
