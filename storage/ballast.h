// The ballast is a file that only takes up space. On a full disk a start would fail, and with it
// all that frees space again; so a start that finds no space gives the ballast up.
//
// Made with system calls, since RocksDB's file system cannot give a file space without writing it.
// Its bytes mean nothing, so nothing of it is synced: after a crash it is there or not.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "storage/storage.h"

namespace raftkv::storage {

inline constexpr char kBallastFile[] = "BALLAST";

// What a start needs: the write-ahead log's rows become tables before it goes.
inline constexpr int64_t kBallastBytesMax = int64_t{256} << 20;
// Less is of no use, so there is none then.
inline constexpr int64_t kBallastBytesMin = int64_t{4} << 20;
// Which part of the reserve it takes at most.
inline constexpr int64_t kBallastPartOfReserve = 4;

// How large it is to be; 0: there is none.
int64_t BallastBytes(int64_t reserve_bytes);

// What the file at `path` takes on the disk; 0 when there is none.
int64_t AllocatedBytes(const std::string& path);

// Gives the file at `path` that much space, making it when it is missing. What it cannot get, it
// does not keep: the file is gone then. FailedPrecondition says why.
absl::Status MakeBallast(const std::string& path, int64_t bytes);

// Removes the file at `path` when the disk has less free space than it takes, and says so in the
// log.
void GiveUpBallastIfFull(const std::string& path);

}  // namespace raftkv::storage
