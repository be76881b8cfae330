// The exit codes of raftkvd, which are promised to whoever supervises it.
#pragma once

#include "storage/disk_failure.h"

namespace raftkv::server {

inline constexpr int kExitOk = 0;
inline constexpr int kExitBadConfiguration = 1;
// Almost always a limit of open files that is too low: configuration, too.
inline constexpr int kExitDeaf = 1;
inline constexpr int kExitBadDirectory = storage::kExitDamaged;
// Two signals: the second ends the process at once.
inline constexpr int kExitForced = 130;

}  // namespace raftkv::server
