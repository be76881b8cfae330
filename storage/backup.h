// What can be done with a backup (kv/backup_file.h) where no server runs: proving it, and making a
// member's data directory of it.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "raftkv/v1/maintenance.pb.h"
#include "storage/storage.h"

namespace raftkv::storage {

struct BackupContent {
  v1::BackupManifest manifest;
  uint64_t bytes = 0;      // Of the file.
  uint64_t backup_id = 0;  // A hash of the file, never 0.
  uint64_t deadlines = 0;  // Keys with one.
};

// Reads all of a backup and proves every checksum and hash in it. Fails as kv::BackupReader does;
// also DataLoss when it is not one whole state, and Unimplemented when it holds what only a newer
// version of this program knows. Touches nothing else.
absl::StatusOr<BackupContent> VerifyBackup(const std::string& path);

struct RestoreOptions {
  // Of the new directory, which must be absent or empty.
  StorageOptions storage;
  // Checked by the caller; storage/restore_record.h.
  std::string name;
  std::string initial_cluster;
};

// Makes a data directory that holds the backup's state at a later revision (kRevisionJump), with a
// data id of its own and no cluster: its first start founds one, together with the other members
// that were made from the same backup. Deadlines go on from the cluster time of the backup. Fails
// as VerifyBackup does, or with FailedPrecondition when the directory holds something; then nothing
// but an empty directory is left.
absl::StatusOr<BackupContent> RestoreBackup(const std::string& path, const RestoreOptions& options);

}  // namespace raftkv::storage
