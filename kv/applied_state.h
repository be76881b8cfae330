// What the applied keys are the result of.
#pragma once

#include <cstdint>

#include "kv/command_version.h"
#include "raft/core/types.h"

namespace raftkv::kv {

// Changes together with the keys.
struct AppliedState {
  raft::EntryId id;
  raft::ClusterMillis stamp;  // Of the entry at `id`.
  int64_t revision = 0;
  int64_t key_count = 0;
  // The sum of the keys' hashes (kv/state_hash.h), modulo 2^64.
  uint64_t rows_hash = 0;
  // Every member knows the commands of this version.
  uint32_t cluster_version = kFirstCommandVersion;

  friend bool operator==(const AppliedState&, const AppliedState&) = default;
};

}  // namespace raftkv::kv
