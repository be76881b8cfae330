#include "tests/chaos/loop_disk.h"

#include <fcntl.h>
#include <glog/logging.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace raftkv::chaos {
namespace {

using integration::CommandResult;
using integration::ExitStatus;

// The file is sparse, so only what is used counts.
constexpr off_t kImageBytes = off_t{4} << 30;
constexpr off_t kBlockBytes = 4096;
// EXT4_IOC_SHUTDOWN, and that the journal is not written first (EXT4_GOING_FLAGS_NOLOGFLUSH).
constexpr unsigned long kShutdown = 0x8004587D;
constexpr uint32_t kWithoutJournal = 2;
constexpr integration::Millis kUnmountMax(10'000);

absl::Status Run(const std::vector<std::string>& argv) {
  const CommandResult result = integration::RunCommand(argv);
  if (result.exit == ExitStatus{.code = 0, .signal = -1}) {
    return absl::OkStatus();
  }
  return absl::UnavailableError(absl::StrCat(argv[0], ": ", result.err));
}

}  // namespace

absl::Status TryDisks() {
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return absl::ErrnoToStatus(errno, "no mounts of our own");
  }
  const integration::TempDir dir;
  return LoopDisk(dir.File("image"), dir.File("disk")).Create();
}

LoopDisk::LoopDisk(std::string image, std::string mount_point)
    : image_(std::move(image)), mount_point_(std::move(mount_point)) {}

LoopDisk::~LoopDisk() {
  if (mounted_) {
    umount2(mount_point_.c_str(), MNT_DETACH);
  }
}

absl::Status LoopDisk::Create() {
  std::filesystem::create_directories(mount_point_);
  const int fd = open(image_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  PCHECK(fd >= 0 && ftruncate(fd, kImageBytes) == 0) << image_;
  close(fd);
  // All space is for anybody, and few inodes make a quick start.
  RAFTKV_RETURN_IF_ERROR(Run({"mkfs.ext4", "-q", "-F", "-m", "0", "-N", "4096", image_}));
  return Mount();
}

absl::Status LoopDisk::Mount() {
  RAFTKV_RETURN_IF_ERROR(Run({"mount", "-o", "loop,noatime", image_, mount_point_}));
  mounted_ = true;
  return absl::OkStatus();
}

void LoopDisk::CutPower() {
  const int fd = open(mount_point_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  PCHECK(fd >= 0) << mount_point_;
  uint32_t how = kWithoutJournal;
  PCHECK(ioctl(fd, kShutdown, &how) == 0) << mount_point_;
  close(fd);
}

void LoopDisk::Remount() {
  // What the killed process had open is let go of a moment after its end.
  const bool unmounted =
      integration::WaitUntil(kUnmountMax, [&] { return umount2(mount_point_.c_str(), 0) == 0; });
  PCHECK(unmounted) << mount_point_;
  mounted_ = false;
  const absl::Status status = Mount();
  CHECK(status.ok()) << status;
}

void LoopDisk::Fill() {
  const int fd = open(ballast().c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  PCHECK(fd >= 0) << ballast();
  off_t at = 0;
  for (off_t piece = kImageBytes; piece >= kBlockBytes;) {
    if (fallocate(fd, 0, at, piece) == 0) {
      at += piece;
    } else {
      PCHECK(errno == ENOSPC) << ballast();
      piece /= 2;
    }
  }
  close(fd);
}

void LoopDisk::Free() { PCHECK(unlink(ballast().c_str()) == 0) << ballast(); }

}  // namespace raftkv::chaos
