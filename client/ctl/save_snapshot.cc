#include "client/ctl/save_snapshot.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/status_macros.h"
#include "client/ctl/progress.h"

namespace raftkv::ctl {
namespace {

absl::Status FileError(absl::string_view what, const std::string& path) {
  return absl::ErrnoToStatus(errno, absl::StrCat("cannot ", what, " ", path));
}

absl::Status WriteAll(int fd, absl::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno != EINTR) {
      return FileError("write", path);
    }
    bytes.remove_prefix(written < 0 ? 0 : static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status SyncFolderOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  const std::string folder = parent.empty() ? "." : parent;
  const int fd = open(folder.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return FileError("open", folder);
  }
  const bool synced = fsync(fd) == 0;
  close(fd);
  return synced ? absl::OkStatus() : FileError("sync", folder);
}

}  // namespace

absl::StatusOr<BackupResult> SaveSnapshot(const SnapshotSaveCommand& command,
                                          const std::vector<std::string>& endpoints, Client& client,
                                          const Terminal& terminal, SaveFailure* failure) {
  const std::string part = command.file + ".part";
  const auto fail_file = [&](absl::Status status) {
    failure->of_file = status;
    return status;
  };
  const int fd = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) {
    return fail_file(FileError("create", part));
  }
  absl::Cleanup remove = [&] { unlink(part.c_str()); };
  const absl::Cleanup close_file = [fd] { close(fd); };
  const SystemMonotonicClock clock;
  Progress progress(terminal.err, terminal.err_is_terminal, Progress::Unit::kBytes, &clock);
  const BackupSink sink = [&](absl::string_view data, const BackupResult& so_far) -> absl::Status {
    if (absl::Status written = WriteAll(fd, data, part); !written.ok()) {
      return fail_file(std::move(written));
    }
    progress.Update(so_far.bytes, so_far.bytes_estimate);
    return absl::OkStatus();
  };
  absl::StatusOr<BackupResult> result = absl::UnavailableError("no endpoint");
  for (const std::string& endpoint : endpoints) {
    result = client.Backup(endpoint, sink, {.consistency = command.consistency});
    if (result.ok() || ErrorReason(result.status()) != kReasonCannotConnect) {
      break;
    }
  }
  progress.End();
  if (!result.ok()) {
    if (failure->of_file.ok()) {
      failure->of_server = result.status();
    }
    return result.status();
  }
  if (fsync(fd) != 0) {
    return fail_file(FileError("sync", part));
  }
  if (rename(part.c_str(), command.file.c_str()) != 0) {
    return fail_file(FileError("rename", part));
  }
  std::move(remove).Cancel();
  if (absl::Status synced = SyncFolderOf(command.file); !synced.ok()) {
    return fail_file(std::move(synced));
  }
  return result;
}

}  // namespace raftkv::ctl
