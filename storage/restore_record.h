// What a directory that was made from a backup remembers until its cluster is founded, and after.
#pragma once

#include <cstdint>
#include <string>

namespace raftkv::storage {

// No revision that the backup's cluster has given out, or will give out after the backup, is given
// out again for other content: that many lie between. The same where a member goes on alone.
inline constexpr int64_t kRevisionJump = int64_t{1} << 32;

struct RestoreRecord {
  // Which backup; equal for all members that are made from it, never 0.
  uint64_t backup_id = 0;
  std::string name;             // As which member.
  std::string initial_cluster;  // As --initial_cluster; empty: alone.

  friend bool operator==(const RestoreRecord&, const RestoreRecord&) = default;
};

}  // namespace raftkv::storage
