// The step from directories without `requests` (key_layout.h) to those with it.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "rocksdb/db.h"
#include "storage/rocksdb_options.h"

namespace raftkv::storage {

// Gives a generation of a directory from before the family, whose families are all `open`, an empty
// one. Does nothing where there is one, or where it is missing from a state that must have it: that
// is for whoever takes the families to say.
absl::Status AddRequestsFamily(rocksdb::DB* db, uint64_t generation, const StorageOptions& options,
                               const DatabaseMemory& memory,
                               std::vector<rocksdb::ColumnFamilyHandle*>* open);

}  // namespace raftkv::storage
