// What shifted_clock.c shares with whoever shifts the clock: one page of a file, C and C++ alike.
#pragma once

#include <stdint.h>

// The wall clock shows offset_nanos more than it is, and since `slewed_since_nanos` of
// CLOCK_MONOTONIC it gains slew_ppm. A writer makes `sequence` odd while it changes them.
struct ShiftedClockPage {
  uint64_t sequence;
  int64_t offset_nanos;
  int64_t slew_ppm;
  int64_t slewed_since_nanos;
  // How often the process looked at it.
  uint64_t readings;
};
