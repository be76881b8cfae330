// Tells somebody who waits how far a long command has come.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "base/clock.h"

namespace raftkv::ctl {

// On a terminal one line that is written over, several times a second; elsewhere a line each few
// seconds. Confined to one thread.
class Progress {
 public:
  // What an amount is called: bytes, or a number of something.
  enum class Unit { kBytes, kKeys };

  Progress(std::ostream& out, bool is_terminal, Unit unit, const MonotonicClock* clock);

  // So much is done, of so much; 0: not known.
  void Update(int64_t done, int64_t total);
  // It is over: clears the line on a terminal.
  void End();

 private:
  std::string Text(int64_t done, int64_t total) const;

  std::ostream& out_;
  const bool is_terminal_;
  const Unit unit_;
  const MonotonicClock& clock_;
  const MonotonicNanos began_at_;
  MonotonicNanos next_at_;
  bool shown_ = false;
};

}  // namespace raftkv::ctl
