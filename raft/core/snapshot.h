// What the core knows of a snapshot (thesis §5): where in the log it stands, and who counts there.
#pragma once

#include "raft/core/configuration.h"
#include "raft/core/types.h"

namespace raftkv::raft {

struct SnapshotPoint {
  EntryId last;         // The last entry whose effects it holds; committed.
  ClusterMillis stamp;  // That entry's.

  friend bool operator==(const SnapshotPoint&, const SnapshotPoint&) = default;
};

struct SnapshotMeta {
  SnapshotPoint point;
  Configuration configuration;  // As of the point.
};

}  // namespace raftkv::raft
