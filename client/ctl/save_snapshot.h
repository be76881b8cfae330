// `raftkvctl snapshot save`.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "client/ctl/command_line.h"
#include "client/ctl/commands.h"

namespace raftkv::ctl {

// Where it went wrong matters for the exit code.
struct SaveFailure {
  absl::Status of_server;  // Or of the way to it.
  absl::Status of_file;
};

// Has the first of the endpoints that can be reached send a backup, and puts it into `path` once it
// is there as a whole and durable; until then it is in `path` + ".part", which is removed when it
// fails. A file at `path` is replaced.
absl::StatusOr<BackupResult> SaveSnapshot(const SnapshotSaveCommand& command,
                                          const std::vector<std::string>& endpoints, Client& client,
                                          const Terminal& terminal, SaveFailure* failure);

}  // namespace raftkv::ctl
