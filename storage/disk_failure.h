// What storage does when RocksDB says no. A failed write or sync is unknown, not absent: going on
// from it could acknowledge what is not on disk, so it ends the process. A file that cannot be read
// is DataLoss.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "rocksdb/slice.h"
#include "rocksdb/status.h"

namespace raftkv::storage {

// What to do about a directory that cannot be used as it is.
inline constexpr char kRemedy[] =
    "The other members hold the data. Put this directory back exactly as it was when the member "
    "stopped: an older copy has forgotten votes and entries that were acknowledged.";

// The same for one whose state is not what the cluster agreed on.
inline constexpr char kDiffersRemedy[] =
    "The other members hold the data. Keep this directory for whoever looks into the cause, and "
    "report it: the member stays away until it can be replaced.";

// Logs one line that says what failed and what to do, then aborts.
// `what` is like "sync the Raft log".
[[noreturn]] void AbortOnWriteFailure(absl::string_view what, const rocksdb::Status& status);
// Bytes are on disk that are not what was written there, and the caller has nobody to tell: logs
// the same kind of line and ends the process with kExitDamaged, at once, since a restart will not
// help. Nothing is lost by it that a kill would not lose. From any thread.
inline constexpr int kExitDamaged = 2;
[[noreturn]] void ExitOnCorruption(absl::string_view what, absl::string_view detail);

// A failed read as DataLoss, with what to do. REQUIRES: !status.ok().
absl::Status ReadFailure(absl::string_view what, const rocksdb::Status& status);
// DataLoss for bytes that nobody wrote.
absl::Status BadBytes(absl::string_view what, absl::string_view detail);

inline rocksdb::Slice ToSlice(absl::string_view view) { return {view.data(), view.size()}; }
inline absl::string_view ToView(const rocksdb::Slice& slice) {
  return {slice.data(), slice.size()};
}

}  // namespace raftkv::storage
