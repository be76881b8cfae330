// DiskUsage knows how many bytes the data directory has, without the loop ever looking.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "kv/disk_pool.h"
#include "storage/storage.h"

namespace raftkv::server {

// Confined to the loop.
class DiskUsage {
 public:
  // Looks once, at once. Borrows everything; no callback of the pool may come after its end.
  DiskUsage(const storage::Storage* storage, kv::DiskPool* pool, const MonotonicClock* clock)
      : storage_(*storage), pool_(*pool), clock_(*clock), bytes_(storage_.DiskBytes()) {}

  // When it was last looked at, which is about a second ago.
  int64_t bytes() const { return bytes_; }
  // Called every tick.
  void Tick();

 private:
  const storage::Storage& storage_;
  kv::DiskPool& pool_;
  const MonotonicClock& clock_;
  int64_t bytes_;
  MonotonicNanos next_look_ = 0;
};

}  // namespace raftkv::server
