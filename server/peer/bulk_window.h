// BulkWindow decides how much bulk may be under way on a stream, so that what comes behind it is
// not held up for long, however slow the link is.
#pragma once

#include <cstdint>
#include <deque>

#include "base/clock.h"

namespace raftkv::server {

// Bulk leaves in parts, and the other end says how much of it has arrived. A part that took longer
// than the quickest by more than `wait_max` was in a queue for that long: the window falls to what
// the link carries without. While parts are much quicker, and more was to be sent, it grows by all
// that arrives. After a pause it is small again: the link may be another one by now. For the same
// reason the quickest is not the quickest for good: it is measured anew, by a part that is alone on
// its way, after a pause, and when the window stays at its smallest as if the link were all queue.
//
// Confined to the loop.
class BulkWindow {
 public:
  // Enough for a local network: it is doubled with each round trip.
  static constexpr uint64_t kInitialBytes = 64 << 10;
  static constexpr uint64_t kBytesMin = 32 << 10;
  static constexpr uint64_t kBytesMax = 4 << 20;
  // A window is of four parts, or of fewer small ones.
  static constexpr uint64_t kPartBytesMin = 16 << 10;
  static constexpr uint64_t kPartBytesMax = 256 << 10;
  static constexpr MonotonicNanos kPause = 1 * kNanosPerSecond;
  // So many arrivals in a row may find the window at kBytesMin.
  static constexpr int kArrivalsAtMinMax = 8;

  // What comes behind bulk is late by a fifth of an election timeout, so that nobody campaigns.
  BulkWindow(const MonotonicClock* clock, MonotonicNanos election_timeout)
      : clock_(*clock), wait_max_(election_timeout / 5) {}

  // How large the next part may be when `left` bytes want to leave; 0: not before more has arrived.
  // REQUIRES: left > 0.
  uint64_t NextPart(uint64_t left);
  void OnSent(uint64_t bytes);
  // `total` bytes have arrived since the beginning. Returns false, changing nothing, when so many
  // were not sent, or more had arrived before.
  [[nodiscard]] bool OnArrived(uint64_t total);

  uint64_t window_bytes() const { return window_bytes_; }

 private:
  struct Part {
    uint64_t end;        // All that was sent up to and with it.
    uint64_t under_way;  // With it.
    MonotonicNanos sent_at;
  };

  // The next part to arrive is the quickest.
  void ForgetQuickest();
  // The newest of the parts that are known to have arrived tells how the link fares.
  void Adapt(const Part& part, uint64_t arrived, MonotonicNanos now);

  const MonotonicClock& clock_;
  const MonotonicNanos wait_max_;

  uint64_t window_bytes_ = kInitialBytes;
  uint64_t sent_ = 0;
  uint64_t arrived_ = 0;
  std::deque<Part> under_way_;
  // A part had to wait for the window since it was adapted.
  bool limited_ = false;
  // How long the quickest part took; 0: none has arrived since it was forgotten.
  MonotonicNanos quickest_ = 0;
  int arrivals_at_min_ = 0;
  // The next part waits until it is alone.
  bool measuring_ = false;
  MonotonicNanos last_arrival_ = 0;
};

}  // namespace raftkv::server
