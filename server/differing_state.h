// The end of a member whose state turned out to be another than the cluster's.
#pragma once

#include "raft/runtime/state_audit.h"
#include "storage/storage.h"

namespace raftkv::server {

// Marks the data directory, says why, and ends the process as a kill would: what waits here gets no
// answer, since any could be wrong, and so the loop may wait for the disk.
[[noreturn]] void EndDiffering(const raft::StateDifference& difference, storage::Storage* storage);

}  // namespace raftkv::server
