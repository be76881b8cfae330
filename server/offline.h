// What raftkvd does with backups and data directories of members that do not run. People come here
// by raftkvctl, which starts `raftkvd offline ...`: RocksDB's bytes are this program's business.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace raftkv::server {

// Of raftkvctl, and promised to scripts.
inline constexpr int kOfflineOk = 0;
inline constexpr int kOfflineFailed = 1;
inline constexpr int kOfflineBadArguments = 128;

// Does one of
//
//   status FILE [hash]
//   restore FILE DATA_DIR NAME [INITIAL_CLUSTER]
//   recover DATA_DIR [force]
//   inspect DATA_DIR
//
// and returns the exit code. What there is to say goes to `out`, a line each: "s" or "n", for a
// text or a number, a tab, the name, a tab, the value without control characters. Errors and advice
// go to `err`.
int RunOffline(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace raftkv::server
