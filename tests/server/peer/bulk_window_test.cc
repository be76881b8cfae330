#include "server/peer/bulk_window.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "tests/support/fake_clock.h"

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kElectionTimeout = 1000 * kNanosPerMilli;

// A window over a link that carries so many bytes a second, one after the other, and whose every
// arrival is known after `round_trip`.
class Link {
 public:
  Link(double bytes_per_second, MonotonicNanos round_trip)
      : bytes_per_second_(bytes_per_second), round_trip_(round_trip) {}

  // Sends so much and returns how long it took until all of it had arrived.
  MonotonicNanos Send(uint64_t bytes) {
    const MonotonicNanos start = clock_.Now();
    for (uint64_t left = bytes; left > 0 || !under_way_.empty();) {
      const uint64_t part = left > 0 ? window_.NextPart(left) : 0;
      if (part == 0) {
        Arrive();
        continue;
      }
      window_.OnSent(part);
      left -= part;
      sent_ += part;
      // What is sent now gets through behind all that is under way.
      free_at_ = std::max(free_at_, clock_.Now()) + Takes(part);
      longest_queue_ = std::max(longest_queue_, free_at_ - clock_.Now());
      under_way_.push_back({.total = sent_, .known_at = free_at_ + round_trip_});
    }
    return clock_.Now() - start;
  }
  MonotonicNanos Takes(uint64_t bytes) const {
    return static_cast<MonotonicNanos>(static_cast<double>(bytes) / bytes_per_second_ *
                                       static_cast<double>(kNanosPerSecond));
  }
  void ChangeRate(double bytes_per_second) { bytes_per_second_ = bytes_per_second; }
  void ChangeRoundTrip(MonotonicNanos round_trip) { round_trip_ = round_trip; }
  // How long something small would have waited at worst, since the last call.
  MonotonicNanos TakeLongestQueue() { return std::exchange(longest_queue_, 0); }

  FakeClock& clock() { return clock_; }
  BulkWindow& window() { return window_; }

 private:
  struct Part {
    uint64_t total;
    MonotonicNanos known_at;
  };

  void Arrive() {
    clock_.Advance(std::max<MonotonicNanos>(0, under_way_.front().known_at - clock_.Now()));
    EXPECT_TRUE(window_.OnArrived(under_way_.front().total));
    under_way_.pop_front();
  }

  double bytes_per_second_;
  MonotonicNanos round_trip_;
  FakeClock clock_;
  BulkWindow window_{&clock_, kElectionTimeout};
  std::deque<Part> under_way_;
  uint64_t sent_ = 0;
  MonotonicNanos free_at_ = 0;
  MonotonicNanos longest_queue_ = 0;
};

TEST(BulkWindowTest, ASlowLinkIsKeptBusyWithoutALongQueue) {
  for (const double rate : {0.2e6, 0.4e6, 1e6, 10e6}) {
    for (const MonotonicNanos round_trip : {1 * kNanosPerMilli, 200 * kNanosPerMilli}) {
      SCOPED_TRACE(testing::Message()
                   << rate << " bytes/s, " << round_trip / kNanosPerMilli << " ms");
      Link link(rate, round_trip);
      link.Send(8 << 20);  // Learns.
      link.TakeLongestQueue();
      const MonotonicNanos took = link.Send(3 << 20);
      EXPECT_LE(took, link.Takes(3 << 20) * 5 / 4 + round_trip);
      EXPECT_LE(link.TakeLongestQueue(), kElectionTimeout / 2);
    }
  }
}

TEST(BulkWindowTest, TheFirstBulkIsCarefulToo) {
  Link link(0.4e6, 1 * kNanosPerMilli);
  link.Send(1 << 20);
  EXPECT_LE(link.TakeLongestQueue(), kElectionTimeout / 2);
}

TEST(BulkWindowTest, AFastLinkLosesAFewRoundTripsOnce) {
  Link link(1e9, 1 * kNanosPerMilli);
  EXPECT_LE(link.Send(1 << 20), 10 * kNanosPerMilli);
  link.Send(8 << 20);
  EXPECT_LE(link.Send(4 << 20), 10 * kNanosPerMilli);
}

TEST(BulkWindowTest, ALinkThatBecomesSlowIsNoticed) {
  Link link(1e9, 1 * kNanosPerMilli);
  link.Send(4 << 20);
  link.ChangeRate(0.4e6);
  link.Send(4 << 20);
  link.TakeLongestQueue();
  link.Send(1 << 20);
  EXPECT_LE(link.TakeLongestQueue(), kElectionTimeout / 2);
}

// What is sent then waits for the distance, not in a queue.
TEST(BulkWindowTest, ALinkThatBecomesFarIsNoticed) {
  for (const MonotonicNanos round_trip : {150 * kNanosPerMilli, 300 * kNanosPerMilli}) {
    SCOPED_TRACE(testing::Message() << round_trip / kNanosPerMilli << " ms");
    Link link(1e9, 1 * kNanosPerMilli);
    link.Send(8 << 20);
    link.ChangeRoundTrip(round_trip);
    EXPECT_LE(link.Send(8 << 20), 25 * round_trip) << "it is busy all the time";
    link.Send(8 << 20);
    EXPECT_LE(link.Send(4 << 20), 3 * round_trip);
  }
}

TEST(BulkWindowTest, ALinkThatBecameFarInAPauseIsNoticed) {
  for (const MonotonicNanos round_trip : {150 * kNanosPerMilli, 300 * kNanosPerMilli}) {
    SCOPED_TRACE(testing::Message() << round_trip / kNanosPerMilli << " ms");
    Link link(1e9, 1 * kNanosPerMilli);
    link.Send(8 << 20);
    link.clock().Advance(BulkWindow::kPause + 1);
    link.ChangeRoundTrip(round_trip);
    EXPECT_LE(link.Send(1 << 20), 6 * round_trip);
  }
}

TEST(BulkWindowTest, ALinkThatIsAlwaysSlowDoesNotLookFar) {
  for (const double rate : {20e3, 50e3, 100e3}) {
    SCOPED_TRACE(testing::Message() << rate << " bytes/s");
    Link link(rate, 1 * kNanosPerMilli);
    link.Send(1 << 20);
    link.TakeLongestQueue();
    link.Send(4 << 20);
    EXPECT_LE(link.window().window_bytes(), 2 * BulkWindow::kBytesMin);
    EXPECT_LE(link.TakeLongestQueue(), link.Takes(2 * BulkWindow::kBytesMin));
  }
}

TEST(BulkWindowTest, APauseMakesItSmallAgain) {
  Link link(1e9, 1 * kNanosPerMilli);
  link.Send(8 << 20);
  EXPECT_GT(link.window().window_bytes(), BulkWindow::kInitialBytes);
  link.clock().Advance(BulkWindow::kPause);
  link.window().NextPart(1);
  EXPECT_GT(link.window().window_bytes(), BulkWindow::kInitialBytes);
  link.clock().Advance(1);
  link.window().NextPart(1);
  EXPECT_EQ(link.window().window_bytes(), BulkWindow::kInitialBytes);
}

TEST(BulkWindowTest, OnePartIsAlwaysPossible) {
  Link link(1, 1 * kNanosPerMilli);
  link.Send(BulkWindow::kInitialBytes);
  EXPECT_EQ(link.window().window_bytes(), BulkWindow::kBytesMin);
  EXPECT_EQ(link.window().NextPart(1 << 20), BulkWindow::kPartBytesMin);
}

TEST(BulkWindowTest, WhatWasNotSentCannotArrive) {
  FakeClock clock;
  BulkWindow window(&clock, kElectionTimeout);
  EXPECT_FALSE(window.OnArrived(1));
  window.OnSent(100);
  EXPECT_FALSE(window.OnArrived(101));
  EXPECT_TRUE(window.OnArrived(60));
  EXPECT_FALSE(window.OnArrived(59)) << "it arrived already";
  EXPECT_TRUE(window.OnArrived(100));
}

}  // namespace
}  // namespace raftkv::server
