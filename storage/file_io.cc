#include "storage/file_io.h"

#include <cstring>
#include <filesystem>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "storage/disk_failure.h"

namespace raftkv::storage {
namespace {

// Not WriteStringToFile, which leaves out the close.
absl::Status WriteFile(rocksdb::FileSystem* files, const std::string& path,
                       absl::string_view bytes) {
  std::unique_ptr<rocksdb::FSWritableFile> file;
  rocksdb::IOStatus status =
      files->NewWritableFile(path, rocksdb::FileOptions(), &file, /*dbg=*/nullptr);
  if (!status.ok()) {
    return FileFailure("create", path, status);
  }
  status = file->Append(ToSlice(bytes), kIoOptions, nullptr);
  if (status.ok()) {
    status = file->Fsync(kIoOptions, nullptr);
  }
  if (status.ok()) {
    status = file->Close(kIoOptions, nullptr);
  }
  return status.ok() ? absl::OkStatus() : FileFailure("write", path, status);
}

}  // namespace

absl::Status FileFailure(absl::string_view what, absl::string_view path, int error) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(error)));
}

absl::Status FileFailure(absl::string_view what, absl::string_view path,
                         const rocksdb::Status& status) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot ", what, " ", path, ": ", status.ToString()));
}

absl::Status SyncDirectory(rocksdb::FileSystem* files, const std::string& path) {
  std::unique_ptr<rocksdb::FSDirectory> directory;
  rocksdb::IOStatus status = files->NewDirectory(path, kIoOptions, &directory, nullptr);
  if (status.ok()) {
    status = directory->Fsync(kIoOptions, nullptr);
  }
  return status.ok() ? absl::OkStatus() : FileFailure("sync", path, status);
}

absl::Status ReplaceFile(rocksdb::FileSystem* files, const std::string& path,
                         absl::string_view bytes) {
  const std::string from = absl::StrCat(path, ".new");
  RAFTKV_RETURN_IF_ERROR(WriteFile(files, from, bytes));
  const rocksdb::IOStatus status = files->RenameFile(from, path, kIoOptions, nullptr);
  if (!status.ok()) {
    return FileFailure("rename", from, status);
  }
  return SyncDirectory(files, std::filesystem::path(path).parent_path().string());
}

absl::StatusOr<std::string> ReadSmallFile(rocksdb::FileSystem* files, const std::string& path) {
  std::string bytes;
  const rocksdb::Status status = rocksdb::ReadFileToString(files, path, &bytes);
  if (!status.ok()) {
    return FileFailure("read", path, status);
  }
  return bytes;
}

absl::Status RemoveTree(rocksdb::FileSystem* files, const std::string& path) {
  if (files->FileExists(path, kIoOptions, nullptr).IsNotFound()) {
    return absl::OkStatus();
  }
  std::vector<std::string> names;
  rocksdb::IOStatus status = files->GetChildren(path, kIoOptions, &names, nullptr);
  if (!status.ok()) {
    return FileFailure("list", path, status);
  }
  for (const std::string& name : names) {
    if (name == "." || name == "..") {
      continue;
    }
    const std::string child = absl::StrCat(path, "/", name);
    bool is_directory = false;
    status = files->IsDirectory(child, kIoOptions, &is_directory, nullptr);
    if (status.ok() && is_directory) {
      RAFTKV_RETURN_IF_ERROR(RemoveTree(files, child));
      continue;
    }
    if (status.ok()) {
      status = files->DeleteFile(child, kIoOptions, nullptr);
    }
    if (!status.ok()) {
      return FileFailure("remove", child, status);
    }
  }
  status = files->DeleteDir(path, kIoOptions, nullptr);
  return status.ok() ? absl::OkStatus() : FileFailure("remove", path, status);
}

}  // namespace raftkv::storage
