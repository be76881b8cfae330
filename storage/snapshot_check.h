// SnapshotCheck tells whether rows that come in the order of a snapshot (storage/snapshot_chunk.h)
// are one whole state, by what the state itself says of them.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "kv/applied_state.h"
#include "kv/history.h"
#include "raft/core/snapshot.h"
#include "raft/core/types.h"
#include "storage/deadline_sum.h"
#include "storage/lease_sum.h"
#include "storage/request_sum.h"
#include "storage/snapshot_chunk.h"

namespace raftkv::storage {

// InvalidArgument for what no reader of a state gives. Confined to one thread.
class SnapshotCheck {
 public:
  // For a state at `point` of cluster `cluster_id`.
  SnapshotCheck(const raft::SnapshotPoint& point, uint64_t cluster_id)
      : point_(point), cluster_id_(cluster_id) {}

  // Takes the next row. Unimplemented: it is of a newer version of this program.
  absl::Status AddRow(const SnapshotRow& row);
  // No row follows; `chunks` has read them.
  absl::Status CheckWhole(const SnapshotChunkReader& chunks) const;

  // Of the rows so far; both are there once CheckWhole succeeded.
  std::optional<kv::AppliedState> applied() const;
  const std::optional<raft::Configuration>& configuration() const { return configuration_; }
  // Keys with a deadline.
  uint64_t deadlines() const { return found_.count; }

 private:
  absl::Status AddStateRow(const SnapshotRow& row);
  absl::Status AddRequestRow(const SnapshotRow& row);
  absl::Status AddLeaseRow(const SnapshotRow& row);
  absl::Status AddEvent(const SnapshotRow& row);
  absl::Status CheckHistory(const SnapshotChunkReader& chunks) const;

  // Constant after construction.
  const raft::SnapshotPoint point_;
  const uint64_t cluster_id_;

  std::optional<kv::AppliedState> applied_;
  std::optional<kv::HistoryState> history_;
  uint64_t rows_hash_ = 0;  // As kv::AppliedState has it, of the rows that came.
  std::optional<raft::Configuration> configuration_;
  // The rows that `ttl` must have as told by `latest`, and those that it has.
  DeadlineSum wanted_;
  DeadlineSum found_;
  RequestSum requests_;
  LeaseSum leases_;
};

}  // namespace raftkv::storage
