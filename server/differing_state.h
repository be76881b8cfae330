// The end of a member whose state turned out to be another than the cluster's.
#pragma once

#include <string>

#include "raft/runtime/state_audit.h"
#include "storage/storage.h"

namespace raftkv::server {

// What an audit found, in words.
std::string Describe(const raft::StateDifference& difference);

// Marks the data directory, says `what` was found, and ends the process as a kill would: what waits
// here gets no answer, since any could be wrong, and so the loop may wait for the disk.
[[noreturn]] void EndDiffering(const std::string& what, storage::Storage* storage);

}  // namespace raftkv::server
