// Small files and directories around the database. Everything goes through RocksDB's file system,
// so that tests can put a disk in its place that fails, loses power or lies.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "rocksdb/file_system.h"

namespace raftkv::storage {

// RocksDB's own way, without a limit in time or rate.
inline const rocksdb::IOOptions kIoOptions;

// All of these fail with FailedPrecondition, "cannot <do what> <path>: <why>".

// Makes what was created, renamed or removed in a directory durable.
absl::Status SyncDirectory(rocksdb::FileSystem* files, const std::string& path);

// Gives a file these bytes, durable on return. After a crash in between it holds them all or is as
// it was. Builds the file at `path` + ".new" first.
absl::Status ReplaceFile(rocksdb::FileSystem* files, const std::string& path,
                         absl::string_view bytes);

absl::StatusOr<std::string> ReadSmallFile(rocksdb::FileSystem* files, const std::string& path);

// Removes a directory with all that is in it; does nothing when it is not there.
absl::Status RemoveTree(rocksdb::FileSystem* files, const std::string& path);

// A failed call as such a status: of the system, by its errno, or of RocksDB. REQUIRES: it failed.
absl::Status FileFailure(absl::string_view what, absl::string_view path, int error);
absl::Status FileFailure(absl::string_view what, absl::string_view path,
                         const rocksdb::Status& status);

}  // namespace raftkv::storage
