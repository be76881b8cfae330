// Sets the wall clock of a process that has shifted_clock.c preloaded.
#pragma once

#include <cstdint>
#include <string>

#include "tests/support/shifted_clock_page.h"

namespace raftkv::integration {

// The clock of one process, across its restarts: right at first, and what was done to it adds up.
// Confined to one thread.
class ShiftedClock {
 public:
  // `path` will be the file that both share.
  explicit ShiftedClock(std::string path);
  ~ShiftedClock();
  ShiftedClock(const ShiftedClock&) = delete;
  ShiftedClock& operator=(const ShiftedClock&) = delete;

  // What the process needs in its environment, besides the preloaded library.
  std::string environment() const;

  // Sets the clock `seconds` further, or back. It runs at the right rate then.
  void Step(int64_t seconds);
  // From here on the clock gains so many microseconds in each second, or loses them.
  void Slew(int64_t ppm);
  // How often the process looked at it.
  uint64_t readings() const;

 private:
  void Change(int64_t step_nanos, int64_t slew_ppm);

  const std::string path_;
  ShiftedClockPage* page_;
};

}  // namespace raftkv::integration
