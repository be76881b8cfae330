// What the tests of crashes, failing disks and damaged files share: a recorded run of a script, and
// the question whether a disk holds what it must.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "tests/storage/crash_script.h"
#include "tests/storage/fault_disk.h"
#include "tests/storage/fault_file_system.h"

namespace raftkv::storage {

// A mark of Record: 1 when a snapshot begins to be staged, 0 when that is over.
inline constexpr char kStaging[] = "staging";

// From an empty storage on, under a seed.
CrashScript MakeScript(const ScriptOptions& options);

// Prints a figure of a test and keeps it as a property of the test.
void Report(const std::string& name, size_t value);
// The end of a log, short enough for a failure message.
std::string Tail(const std::string& log);

// An empty disk with the directory that a data directory is made in.
FaultDisk MakeDisk(const std::string& data_dir);

// How far the writes of a script may and must have come, in numbers of states.
struct Progress {
  size_t durable = 1;
  size_t begun = 1;
  std::optional<uint64_t> data_id;  // Once the directory is made.

  // Takes note of an operation if it is a mark of Record.
  void Update(const DiskOperation& operation);
};

// What a process did to a disk.
struct Recording {
  FaultDisk start;
  std::vector<DiskOperation> operations;  // Marks say how far the script had come.
  Progress before;                        // At the start.
  std::optional<int> signal;  // That ended the process; nothing when it ended by itself.
  bool refused = false;       // The storage did not open.
  std::string log;            // The process's stderr.

  // The disk after all operations.
  FaultDisk End() const;
  // How far the script had come after all operations.
  Progress EndProgress() const;
};

enum class Ending {
  kClose,  // Closes the storage.
  kKill,   // Leaves it open, so the disk is as a kill of the process leaves it.
};

// Runs a script in a process of its own.
Recording Record(const FaultDisk& start, const Progress& before, const std::string& data_dir,
                 const CrashScript& script, Ending ending = Ending::kClose,
                 std::optional<DiskFault> fault = std::nullopt);

// Opens the storage on a disk in this process and compares what it holds with what `progress`
// allows. Returns "clean <number of the state>", "refused <why>" or "wrong <what>". With `goes_on`,
// a clean one must also take a few more writes and still have them when it is opened again. `left`,
// if given, becomes the disk as it is after that.
std::string CheckDisk(FaultDisk disk, const std::string& data_dir,
                      const std::vector<StoreState>& states, const Progress& progress, bool goes_on,
                      FaultDisk* left = nullptr);
bool IsClean(const std::string& verdict);
bool IsRefused(const std::string& verdict);
// REQUIRES: it is clean.
size_t CleanState(const std::string& verdict);

// The sizes at which files switch often.
StorageOptions SmallSizes(const std::string& data_dir, rocksdb::Env* env);

}  // namespace raftkv::storage
