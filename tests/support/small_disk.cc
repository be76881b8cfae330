#include "tests/support/small_disk.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/strings/str_cat.h"

namespace raftkv::integration {
namespace {

std::string SizeOption(int mib) { return absl::StrCat("size=", mib, "m"); }

}  // namespace

SmallDisk::SmallDisk(const std::string& path, int mib) : path_(path) {
  std::filesystem::create_directories(path);
  mounted_ = mount("none", path.c_str(), "tmpfs", 0, SizeOption(mib).c_str()) == 0;
  error_ = errno;
}

SmallDisk::~SmallDisk() {
  if (mounted_) {
    umount2(path_.c_str(), MNT_DETACH);
  }
}

std::string SmallDisk::error() const { return std::strerror(error_); }

void SmallDisk::Resize(int mib) {
  ASSERT_EQ(mount("none", path_.c_str(), "tmpfs", MS_REMOUNT, SizeOption(mib).c_str()), 0);
}

int64_t SmallDisk::free_bytes() const {
  struct statvfs found;
  EXPECT_EQ(statvfs(path_.c_str(), &found), 0) << path_;
  return static_cast<int64_t>(found.f_bavail * found.f_frsize);
}

void SmallDisk::Fill(int64_t left_bytes) {
  const int fd = open(filler().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(fd, 0) << filler();
  // Others write meanwhile, so what was free may be free no more.
  constexpr int kTriesMax = 100;
  int failed = fallocate(fd, 0, 0, free_bytes() - left_bytes);
  for (int tries = 1; failed != 0 && errno == ENOSPC && tries < kTriesMax; ++tries) {
    failed = fallocate(fd, 0, 0, std::max<int64_t>(4096, free_bytes() - left_bytes));
  }
  EXPECT_EQ(failed, 0) << std::strerror(errno);
  close(fd);
}

void SmallDisk::Free() { ASSERT_EQ(unlink(filler().c_str()), 0) << filler(); }

}  // namespace raftkv::integration
