#include "server/peer/bulk_window.h"

#include <glog/logging.h>

#include <algorithm>

namespace raftkv::server {

uint64_t BulkWindow::NextPart(uint64_t left) {
  CHECK_GT(left, 0u);
  const uint64_t under_way = sent_ - arrived_;
  if (under_way == 0 && clock_.Now() - last_arrival_ > kPause) {
    window_bytes_ = std::min(window_bytes_, kInitialBytes);
    // What leaves now is alone on its way, so it tells how far the other end is.
    ForgetQuickest();
  }
  if (measuring_) {
    if (under_way > 0) {
      return 0;
    }
    measuring_ = false;
  }
  const uint64_t part = std::min(left, std::clamp(window_bytes_ / 4, kPartBytesMin, kPartBytesMax));
  if (under_way > 0 && under_way + part > window_bytes_) {
    limited_ = true;
    return 0;
  }
  return part;
}

void BulkWindow::OnSent(uint64_t bytes) {
  sent_ += bytes;
  under_way_.push_back({.end = sent_, .under_way = sent_ - arrived_, .sent_at = clock_.Now()});
}

bool BulkWindow::OnArrived(uint64_t total) {
  if (total < arrived_ || total > sent_) {
    return false;
  }
  const uint64_t arrived = total - arrived_;
  arrived_ = total;
  last_arrival_ = clock_.Now();
  while (!under_way_.empty() && under_way_.front().end <= total) {
    const Part part = under_way_.front();
    under_way_.pop_front();
    if (under_way_.empty() || under_way_.front().end > total) {
      Adapt(part, arrived, last_arrival_);
    }
  }
  return true;
}

void BulkWindow::ForgetQuickest() {
  quickest_ = 0;
  arrivals_at_min_ = 0;
}

void BulkWindow::Adapt(const Part& part, uint64_t arrived, MonotonicNanos now) {
  // A clock that stood still between the two is no reason to divide by 0.
  const MonotonicNanos took = std::max<MonotonicNanos>(1, now - part.sent_at);
  quickest_ = quickest_ == 0 ? took : std::min(quickest_, took);
  const MonotonicNanos allowed = quickest_ + wait_max_;
  if (took > allowed) {
    const double fits = static_cast<double>(part.under_way) * static_cast<double>(allowed) /
                        static_cast<double>(took);
    window_bytes_ = std::max(kBytesMin, std::min(window_bytes_, static_cast<uint64_t>(fits)));
  } else if (limited_ && took <= quickest_ + wait_max_ / 4) {
    // Well below: what left before it shows has grown already.
    window_bytes_ = std::min(kBytesMax, window_bytes_ + arrived);
    limited_ = false;
  }
  arrivals_at_min_ = window_bytes_ == kBytesMin ? arrivals_at_min_ + 1 : 0;
  if (arrivals_at_min_ >= kArrivalsAtMinMax) {
    ForgetQuickest();
    measuring_ = true;
  }
}

}  // namespace raftkv::server
