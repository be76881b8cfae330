#include "server/disk_reserve.h"

#include <algorithm>

namespace raftkv::server {
namespace {

constexpr int64_t kAutomaticBytesMax = int64_t{1} << 30;
constexpr int64_t kAutomaticPart = 20;
constexpr int64_t kSlackPart = 16;
constexpr int64_t kNearReserves = 4;

}  // namespace

int64_t DiskReserveBytes(int64_t option, int64_t total_bytes) {
  return option != 0 ? option : std::min(kAutomaticBytesMax, total_bytes / kAutomaticPart);
}

bool DiskReserve::Update(int64_t free_bytes) {
  const int64_t wanted = low_ ? bytes_ + bytes_ / kSlackPart : bytes_;
  const bool was_low = low_;
  low_ = free_bytes < wanted;
  return low_ != was_low;
}

bool DiskReserve::IsNear(int64_t free_bytes) const { return free_bytes / kNearReserves < bytes_; }

}  // namespace raftkv::server
