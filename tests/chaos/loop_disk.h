// A small ext4 file system of its own under a member's data directory, whose power can be cut and
// whose space can be taken away.
//
// The cut is ext4's own shutdown ioctl: whatever was not synced is gone when it is mounted again,
// directory entries included. It tears no blocks and reorders none.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace raftkv::chaos {

// Gives this process mounts of its own, which vanish with it and its children, and tries one disk.
// Call it before any thread is started. Not ok when this machine does not let us.
absl::Status TryDisks();

// Mounted from Create to destruction, but for Remount. Confined to one thread.
class LoopDisk {
 public:
  // Nothing happens yet. `image` will be the file below the disk; both paths must be free.
  LoopDisk(std::string image, std::string mount_point);
  ~LoopDisk();
  LoopDisk(const LoopDisk&) = delete;
  LoopDisk& operator=(const LoopDisk&) = delete;

  // Makes and mounts it. Fails where there are no loop devices or tools.
  absl::Status Create();

  // From here on nothing reaches the disk, and every write fails.
  void CutPower();
  // As after a reboot. REQUIRES: no process uses the disk.
  void Remount();

  // Takes all free space, and gives it back.
  void Fill();
  void Free();

 private:
  absl::Status Mount();
  std::string ballast() const { return mount_point_ + "/ballast"; }

  const std::string image_;
  const std::string mount_point_;
  bool mounted_ = false;
};

}  // namespace raftkv::chaos
