// What can be done with a member's data directory where no server runs: looking into it, and making
// its member the only one of a new cluster, when the others are lost for good.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "raft/runtime/cluster_clock.h"
#include "storage/database_reader.h"
#include "storage/durability_fence.h"
#include "storage/restore_record.h"
#include "storage/storage.h"

namespace raftkv::storage {

// What a directory holds; what cannot be read says why instead.
struct DirectoryReport {
  // The process that uses it, "pid 12"; empty: none.
  std::string used_by;
  // The line of FORMAT.
  absl::StatusOr<std::string> format;
  // What was found when it was marked as differing; empty: it is not.
  std::string differs;
  absl::StatusOr<FenceRecord> fence;
  absl::StatusOr<MemberIdentity> identity;
  absl::StatusOr<raft::HardState> hard_state;
  absl::StatusOr<LogEdge> log_start;  // What the first entry follows.
  absl::StatusOr<LogEdge> log_end;
  absl::StatusOr<raft::ClusterReading> clock;
  absl::StatusOr<std::optional<RestoreRecord>> restored;
  absl::StatusOr<GenerationContent> content;
  absl::StatusOr<uint64_t> deadlines;  // Rows of `ttl`.

  // Entries of which it is not known here whether they are committed. REQUIRES: log_end and content
  // were read.
  uint64_t uncertain_entries() const {
    return log_end->id.index.value() - content->applied.id.index.value();
  }
};

// Looks into a directory without changing anything, also while a server uses it: then what it says
// is as of some moment. Fails only where there is no directory of raftkv's.
absl::StatusOr<DirectoryReport> InspectDirectory(const StorageOptions& options);

// Makes the member whose directory this is the only voter of a new cluster, under its own name and
// id, at a later revision (kRevisionJump). All entries of its log are applied: those of which it is
// not known whether they were committed may have been. Deadlines go on from its saved cluster
// time. A crash leaves it as it was or as it is to be, but no fence until the next start.
// FailedPrecondition when a process uses it, or it belongs to no cluster yet; DataLoss when it is
// damaged. Nothing is changed then.
absl::Status RecoverAlone(const StorageOptions& options);

}  // namespace raftkv::storage
