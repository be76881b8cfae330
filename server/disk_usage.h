// DiskUsage knows how much the data directory takes and what its disk has left, without the loop
// ever looking. It keeps the ballast, and while the disk is nearly full it gives back the space of
// what was deleted.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "kv/disk_pool.h"
#include "raft/core/types.h"
#include "server/disk_reserve.h"
#include "storage/storage.h"

namespace raftkv::server {

// Confined to the loop.
class DiskUsage {
 public:
  // Looks once, at once. `pool` is its own: short work are looks, long work is giving back space.
  // Borrows everything; no callback of the pool may come after its end.
  DiskUsage(storage::Storage* storage, kv::DiskPool* pool, const MonotonicClock* clock);

  // When it was last looked at, which is about a second ago.
  int64_t bytes() const { return bytes_; }
  // Whether less than Storage::disk_reserve_bytes is free, as of the last look: about a second ago,
  // less while it is near that.
  bool low() const { return reserve_.low(); }
  // Of its file system, as of the last look that the system answered.
  const storage::DiskSpace& space() const { return space_; }
  int64_t reserve_bytes() const { return reserve_.bytes(); }
  // Called every tick.
  void Tick();

 private:
  void Look();
  void OnSpace(const absl::StatusOr<storage::DiskSpace>& space);
  void MaybeGiveBackSpace();

  storage::Storage& storage_;
  kv::DiskPool& pool_;
  const MonotonicClock& clock_;
  DiskReserve reserve_;
  storage::DiskSpace space_;
  int64_t bytes_;
  MonotonicNanos next_look_ = 0;
  MonotonicNanos next_count_ = 0;
  MonotonicNanos next_give_back_ = 0;
  // The applied index when space was given back last. Without a change there is little to give.
  raft::LogIndex given_back_at_ = raft::LogIndex(0);
  MonotonicNanos next_unchanged_give_back_ = 0;
};

}  // namespace raftkv::server
