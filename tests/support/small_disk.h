// A small file system of its own, for tests of full disks. Needs root.
#pragma once

#include <cstdint>
#include <string>

namespace raftkv::integration {

// A tmpfs that is mounted while this lives, over a folder that it makes. Confined to one thread.
class SmallDisk {
 public:
  SmallDisk(const std::string& path, int mib);
  ~SmallDisk();
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  // False, and error() says why, where this machine does not let us.
  bool mounted() const { return mounted_; }
  std::string error() const;
  void Resize(int mib);
  int64_t free_bytes() const;

  // Takes space with a file of somebody else, but for `left_bytes`, and gives it back.
  void Fill(int64_t left_bytes);
  void Free();

 private:
  std::string filler() const { return path_ + "/filler"; }

  const std::string path_;
  bool mounted_ = false;
  int error_ = 0;
};

}  // namespace raftkv::integration
