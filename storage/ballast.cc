#include "storage/ballast.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "glog/logging.h"
#include "storage/file_io.h"

namespace raftkv::storage {
namespace {

// The unit of st_blocks, whatever the file system's blocks are.
constexpr int64_t kStatBlockBytes = 512;

}  // namespace

absl::StatusOr<DiskSpace> FindDiskSpace(const std::string& path) {
  std::error_code error;
  std::filesystem::path there = std::filesystem::absolute(path, error);
  while (!error && !std::filesystem::exists(there, error) && there.has_relative_path()) {
    there = there.parent_path();
  }
  struct statvfs found;
  if (statvfs(there.c_str(), &found) != 0) {
    return FileFailure("tell the free space of", path, errno);
  }
  if (found.f_blocks == 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("the file system of ", path, " does not say how large it is"));
  }
  const auto unit = static_cast<int64_t>(found.f_frsize);
  return DiskSpace{.free_bytes = static_cast<int64_t>(found.f_bavail) * unit,
                   .total_bytes = static_cast<int64_t>(found.f_blocks) * unit};
}

int64_t BallastBytes(int64_t reserve_bytes) {
  const int64_t bytes = std::min(kBallastBytesMax, reserve_bytes / kBallastPartOfReserve);
  return bytes < kBallastBytesMin ? 0 : bytes;
}

int64_t AllocatedBytes(const std::string& path) {
  struct stat found;
  return stat(path.c_str(), &found) == 0 ? int64_t{found.st_blocks} * kStatBlockBytes : 0;
}

absl::Status MakeBallast(const std::string& path, int64_t bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return FileFailure("create", path, errno);
  }
  const absl::Cleanup close_fd = [fd] { close(fd); };
  // Not posix_fallocate, which writes where the file system cannot do it.
  if (fallocate(fd, 0, 0, bytes) == 0) {
    return absl::OkStatus();
  }
  const int failed = errno;
  unlink(path.c_str());
  return FileFailure("get space for", path, failed);
}

void GiveUpBallastIfFull(const std::string& path) {
  const int64_t bytes = AllocatedBytes(path);
  const absl::StatusOr<DiskSpace> space = FindDiskSpace(path);
  if (bytes == 0 || !space.ok() || space->free_bytes >= bytes) {
    return;
  }
  if (unlink(path.c_str()) != 0) {
    LOG(WARNING) << FileFailure("remove", path, errno).message();
    return;
  }
  LOG(WARNING) << "the disk is full (" << space->free_bytes << " bytes free), so " << path << ", "
               << FormatByteSize(bytes)
               << " that were kept for this, is given up to start at all: free space on this disk, "
                  "or delete keys; puts are refused until there is --disk_reserve_bytes again";
}

}  // namespace raftkv::storage
