// The step by which a state becomes the first one of another cluster.
#pragma once

#include "kv/applied_state.h"
#include "rocksdb/write_batch.h"
#include "storage/generation.h"

namespace raftkv::storage {

// Lets the other cluster's revisions begin where this one's never come to (kRevisionJump), and ends
// the history: no watch may go on across the gap, so all before it counts as compacted. `applied`
// is what the generation has. Thread-safe as RocksDB is.
void JumpRevisions(const Generation& generation, kv::AppliedState applied,
                   rocksdb::WriteBatch* batch);

}  // namespace raftkv::storage
