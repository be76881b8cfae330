// DiskReserve says when a disk is nearly full: by numbers alone.
#pragma once

#include <cstdint>

namespace raftkv::server {

// What --disk_reserve_bytes means on a file system of this size: itself, or with 0 the smaller of
// 1 GiB and a twentieth.
int64_t DiskReserveBytes(int64_t option, int64_t total_bytes);

// Low as soon as less than the reserve is free, and until there is a sixteenth of it more, so that
// a disk at the edge does not go to and fro. Confined to one thread.
class DiskReserve {
 public:
  explicit DiskReserve(int64_t bytes) : bytes_(bytes) {}

  int64_t bytes() const { return bytes_; }
  bool low() const { return low_; }
  // So much is free now. Returns whether low() changed.
  bool Update(int64_t free_bytes);
  // Whether so little is free that a second may use it up.
  bool IsNear(int64_t free_bytes) const;

 private:
  const int64_t bytes_;
  bool low_ = false;
};

}  // namespace raftkv::server
