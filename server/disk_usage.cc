#include "server/disk_usage.h"

#include "base/deadline.h"

namespace raftkv::server {
namespace {

constexpr MonotonicNanos kLookInterval = kNanosPerSecond;

}  // namespace

void DiskUsage::Tick() {
  const MonotonicNanos now = clock_.Now();
  if (now < next_look_) {
    return;
  }
  // Long: a file system that hangs must not hold up short reads.
  const bool submitted = pool_.Submit(kv::DiskPool::Length::kLong, [this] {
    return [this, bytes = storage_.DiskBytes()] {
      bytes_ = bytes;
      next_look_ = clock_.Now() + kLookInterval;
    };
  });
  // One at a time, however long it takes.
  next_look_ = submitted ? kNever : now + kLookInterval;
}

}  // namespace raftkv::server
