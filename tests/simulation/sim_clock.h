// A node's own clock: it started somewhere and runs at its own rate.
#pragma once

#include "base/clock.h"
#include "tests/simulation/scheduler.h"

namespace raftkv::simulation {

// Confined to one thread.
class SimClock final : public MonotonicClock {
 public:
  // Shows `offset` now and gains `drift_ppm` microseconds a second on true time.
  SimClock(const Scheduler* scheduler, MonotonicNanos offset, int64_t drift_ppm)
      : scheduler_(*scheduler),
        started_(scheduler->now()),
        offset_(offset),
        drift_ppm_(drift_ppm) {}

  MonotonicNanos Now() const override {
    const SimTime passed = scheduler_.now() - started_;
    return offset_ + passed + passed / kMillion * drift_ppm_ +
           passed % kMillion * drift_ppm_ / kMillion;
  }
  // How long it truly takes until this clock has moved on by `local`, rounded up.
  SimTime TrueDuration(MonotonicNanos local) const {
    return local * kMillion / (kMillion + drift_ppm_) + 1;
  }

 private:
  static constexpr int64_t kMillion = 1'000'000;

  const Scheduler& scheduler_;
  const SimTime started_;
  const MonotonicNanos offset_;
  const int64_t drift_ppm_;
};

}  // namespace raftkv::simulation
