#include "storage/data_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <optional>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "storage/ballast.h"
#include "storage/disk_failure.h"
#include "storage/file_io.h"

namespace raftkv::storage {
namespace {

namespace fs = std::filesystem;

constexpr char kLockFile[] = "LOCK";
constexpr char kNewFormatFile[] = "FORMAT.new";
constexpr char kNewFenceFile[] = "FENCE.new";
constexpr char kDatabase[] = "db";
constexpr char kNewDatabase[] = "db.new";
constexpr char kStaging[] = "db.staging";
constexpr char kFormatPrefix[] = "raftkv ";

absl::Status SyncPath(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return FileFailure("open", path, errno);
  }
  const int failed = fsync(fd) == 0 ? 0 : errno;
  close(fd);
  return failed == 0 ? absl::OkStatus() : FileFailure("sync", path, failed);
}

absl::Status WriteAll(int fd, absl::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      return FileFailure("write", path, errno);
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

// The first bytes of a file.
std::string ReadStart(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  char bytes[256];
  const ssize_t size = fd < 0 ? 0 : read(fd, bytes, sizeof(bytes));
  if (fd >= 0) {
    close(fd);
  }
  return std::string(bytes, static_cast<size_t>(std::max<ssize_t>(size, 0)));
}

absl::Status CheckFormatFile(rocksdb::FileSystem* files, const std::string& path) {
  RAFTKV_ASSIGN_OR_RETURN(const std::string line, ReadSmallFile(files, path));
  return CheckFormat(path, line);
}

// Neither what was found wrong once, nor who was removed once, comes back.
absl::Status CheckNotMarked(rocksdb::FileSystem* files, const std::string& path,
                            const std::set<std::string>& names) {
  if (names.contains(kRemovedFile)) {
    const std::string marker = absl::StrCat(path, "/", kRemovedFile);
    RAFTKV_ASSIGN_OR_RETURN(const std::string found, ReadSmallFile(files, marker));
    return absl::FailedPreconditionError(
        absl::StrCat(marker, " says: ", absl::StripSuffix(found, "\n")));
  }
  if (!names.contains(kDiffersFile)) {
    return absl::OkStatus();
  }
  const std::string marker = absl::StrCat(path, "/", kDiffersFile);
  RAFTKV_ASSIGN_OR_RETURN(const std::string found, ReadSmallFile(files, marker));
  return absl::DataLossError(
      absl::StrCat(marker, " says: ", absl::StripSuffix(found, "\n"), ". ", kDiffersRemedy));
}

absl::StatusOr<std::set<std::string>> ListNames(rocksdb::FileSystem* files,
                                                const std::string& path) {
  std::vector<std::string> names;
  const rocksdb::IOStatus status =
      files->GetChildren(path, rocksdb::IOOptions(), &names, /*dbg=*/nullptr);
  if (!status.ok()) {
    return FileFailure("list", path, status);
  }
  std::set<std::string> result(names.begin(), names.end());
  for (const char* other : {"lost+found", ".", ".."}) {
    result.erase(other);
  }
  return result;
}

// Keeps a mistyped path from being filled with a database: what is in there must be what a creation
// leaves behind.
absl::Status CheckNotForeign(const std::string& path, const std::set<std::string>& names) {
  if (names.contains(kFormatFile)) {
    return absl::OkStatus();
  }
  for (const std::string& name : names) {
    // The last two are left where the steps to a complete directory were taken back.
    const bool in_locked = name == kDatabase || name == kNewDatabase || name == kFenceFile ||
                           name == kNewFenceFile || name == kBallastFile || name == kStaging;
    const bool ours =
        name == kLockFile || name == kNewFormatFile || (in_locked && names.contains(kLockFile));
    if (!ours) {
      return absl::FailedPreconditionError(
          absl::StrCat(path, " holds ", name, " and is not a raftkv data directory (no ",
                       kFormatFile, "): choose an empty or new directory"));
    }
  }
  return absl::OkStatus();
}

absl::Status MakeDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) {
    const fs::path parent = fs::path(path).parent_path();
    return SyncPath(parent.empty() ? "." : parent.string());
  }
  if (errno != EEXIST) {
    return FileFailure("create the data directory", path, errno);
  }
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    return FileFailure("look at", path, errno);
  }
  if (!S_ISDIR(status.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a directory"));
  }
  if (access(path.c_str(), R_OK | W_OK | X_OK) != 0) {
    return FileFailure("use the data directory", path, errno);
  }
  if ((status.st_mode & 077) != 0) {
    LOG(WARNING) << "other users may enter the data directory " << path
                 << " (chmod 0700 keeps them out)";
  }
  return absl::OkStatus();
}

// Returns the descriptor that holds the lock.
absl::StatusOr<int> Lock(const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/", kLockFile);
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return FileFailure("open", path, errno);
  }
  absl::Cleanup close_fd = [fd] { close(fd); };
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) {
      return FileFailure("lock", path, errno);
    }
    const std::string holder = ReadStart(path);
    const std::string pid =
        holder.empty() ? "" : absl::StrCat(" (pid ", absl::StripSuffix(holder, "\n"), ")");
    return absl::FailedPreconditionError(
        absl::StrCat("the data directory ", directory, " is in use by another process", pid));
  }
  // From here on, space may be needed.
  GiveUpBallastIfFull(absl::StrCat(directory, "/", kBallastFile));
  // Only for that message; the lock itself is the kernel's and ends with the process.
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd, 0) != 0) {
    return FileFailure("write", path, errno);
  }
  RAFTKV_RETURN_IF_ERROR(WriteAll(fd, pid, path));
  std::move(close_fd).Cancel();
  return fd;
}

}  // namespace

uint64_t RandomDataId() {
  std::random_device device;
  uint64_t id = 0;
  while (id == 0) {
    id = static_cast<uint64_t>(device()) << 32 | device();
  }
  return id;
}

absl::Status CheckFormat(absl::string_view path, absl::string_view line) {
  absl::string_view number = line;
  uint64_t version = 0;
  if (!absl::ConsumePrefix(&number, kFormatPrefix) || !absl::ConsumeSuffix(&number, "\n") ||
      !absl::SimpleAtoi(number, &version) || version < 1) {
    return absl::DataLossError(absl::StrCat(path, " is corrupted: it should say \"raftkv ",
                                            kDirectoryVersion, "\". ", kRemedy));
  }
  if (version != kDirectoryVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " says format version ", number, ", this raftkvd uses version ",
                     kDirectoryVersion, ": run a raftkvd that knows version ", number));
  }
  return absl::OkStatus();
}

absl::StatusOr<DataDirectory> DataDirectory::Open(const std::string& given_path,
                                                  std::shared_ptr<rocksdb::FileSystem> files) {
  std::string path(absl::StripSuffix(given_path, "/"));
  if (path.empty()) {
    return absl::FailedPreconditionError("the data directory needs a name");
  }
  RAFTKV_RETURN_IF_ERROR(MakeDirectory(path));
  RAFTKV_ASSIGN_OR_RETURN(std::set<std::string> names, ListNames(files.get(), path));
  RAFTKV_RETURN_IF_ERROR(CheckNotForeign(path, names));
  const std::string format_path = absl::StrCat(path, "/", kFormatFile);
  if (names.contains(kFormatFile)) {
    RAFTKV_RETURN_IF_ERROR(CheckFormatFile(files.get(), format_path));
  }
  RAFTKV_RETURN_IF_ERROR(CheckNotMarked(files.get(), path, names));
  RAFTKV_ASSIGN_OR_RETURN(const int lock_fd, Lock(path));
  DataDirectory directory(path, std::move(files), lock_fd);

  // Again, because another process may have been busy with the directory until the lock was ours.
  RAFTKV_ASSIGN_OR_RETURN(names, ListNames(directory.files(), path));
  RAFTKV_RETURN_IF_ERROR(CheckNotMarked(directory.files(), path, names));
  directory.has_database_ = names.contains(kDatabase);
  directory.is_complete_ = names.contains(kFormatFile);
  directory.has_fence_ = directory.is_complete_ || names.contains(kFenceFile);
  if (directory.is_complete_) {
    RAFTKV_RETURN_IF_ERROR(CheckFormatFile(directory.files(), format_path));
    const rocksdb::IOStatus current = directory.files()->FileExists(
        absl::StrCat(directory.database_path(), "/CURRENT"), rocksdb::IOOptions(), nullptr);
    if (!current.ok()) {
      return absl::DataLossError(
          absl::StrCat(path, " is incomplete: ", kDatabase, "/CURRENT is missing. ", kRemedy));
    }
  }
  return directory;
}

DataDirectory::DataDirectory(DataDirectory&& other) noexcept
    : path_(std::move(other.path_)),
      files_(std::move(other.files_)),
      lock_fd_(std::exchange(other.lock_fd_, -1)),
      has_database_(other.has_database_),
      has_fence_(other.has_fence_),
      is_complete_(other.is_complete_) {}

DataDirectory::~DataDirectory() {
  if (lock_fd_ >= 0) {
    close(lock_fd_);
  }
}

std::string DataDirectory::database_path() const { return absl::StrCat(path_, "/", kDatabase); }

std::string DataDirectory::fence_path() const { return absl::StrCat(path_, "/", kFenceFile); }

std::string DataDirectory::staging_path() const { return absl::StrCat(path_, "/", kStaging); }

std::string DataDirectory::ballast_path() const { return absl::StrCat(path_, "/", kBallastFile); }

absl::StatusOr<std::string> DataDirectory::StartDatabase() {
  CHECK(!has_database_);
  const std::string path = absl::StrCat(path_, "/", kNewDatabase);
  RAFTKV_RETURN_IF_ERROR(RemoveTree(files(), path));
  // RocksDB would make it, too, but logs an error first.
  const rocksdb::IOStatus made = files()->CreateDir(path, rocksdb::IOOptions(), nullptr);
  if (!made.ok()) {
    return FileFailure("create", path, made);
  }
  return path;
}

absl::Status DataDirectory::FinishDatabase() {
  CHECK(!has_database_);
  const std::string from = absl::StrCat(path_, "/", kNewDatabase);
  RAFTKV_RETURN_IF_ERROR(SyncDirectory(files(), from));
  const rocksdb::IOStatus renamed =
      files()->RenameFile(from, database_path(), rocksdb::IOOptions(), nullptr);
  if (!renamed.ok()) {
    return FileFailure("rename", from, renamed);
  }
  RAFTKV_RETURN_IF_ERROR(SyncDirectory(files(), path_));
  has_database_ = true;
  return absl::OkStatus();
}

absl::Status DataDirectory::MarkComplete() {
  CHECK(has_database_);
  if (is_complete_) {
    return absl::OkStatus();
  }
  RAFTKV_RETURN_IF_ERROR(ReplaceFile(files(), absl::StrCat(path_, "/", kFormatFile),
                                     absl::StrCat(kFormatPrefix, kDirectoryVersion, "\n")));
  is_complete_ = true;
  return absl::OkStatus();
}

absl::Status DataDirectory::MarkIncomplete() {
  // Without its fence a directory is refused unless it is not complete.
  for (const char* name : {kFormatFile, kFenceFile}) {
    const std::string file = absl::StrCat(path_, "/", name);
    const rocksdb::IOStatus removed = files()->DeleteFile(file, rocksdb::IOOptions(), nullptr);
    if (!removed.ok()) {
      return FileFailure("remove", file, removed);
    }
    RAFTKV_RETURN_IF_ERROR(SyncDirectory(files(), path_));
  }
  is_complete_ = false;
  has_fence_ = false;
  return absl::OkStatus();
}

std::string DataDirectory::UserOf(const std::string& path) {
  const std::string lock = absl::StrCat(path, "/", kLockFile);
  const int fd = open(lock.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return "";
  }
  const bool is_free = flock(fd, LOCK_SH | LOCK_NB) == 0;
  close(fd);
  return is_free ? "" : absl::StrCat("pid ", absl::StripSuffix(ReadStart(lock), "\n"));
}

absl::Status DataDirectory::MarkDiffering(absl::string_view what) {
  return ReplaceFile(files(), absl::StrCat(path_, "/", kDiffersFile), absl::StrCat(what, "\n"));
}

absl::Status DataDirectory::MarkRemoved(absl::string_view what) {
  return ReplaceFile(files(), absl::StrCat(path_, "/", kRemovedFile), absl::StrCat(what, "\n"));
}

}  // namespace raftkv::storage
