// The step from directories without `requests`, `history` and `leases` (key_layout.h) to those with
// them.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "rocksdb/db.h"
#include "storage/database_opening.h"
#include "storage/rocksdb_options.h"

namespace raftkv::storage {

// Gives a generation of a directory from before these families, whose families are all `open`,
// empty ones. Does nothing where they are, or where they are missing from a state that must have
// them: that is for whoever takes the families to say.
absl::Status AddLaterFamilies(rocksdb::DB* db, uint64_t generation, const StorageOptions& options,
                              const DatabaseMemory& memory, FamilyHandles* open);

}  // namespace raftkv::storage
