// FaultFileSystem puts a FaultDisk under RocksDB and under storage's own files: every operation is
// recorded, and one of them can fail.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/mutex.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "tests/storage/fault_disk.h"

namespace raftkv::storage {

enum class DiskError { kIo, kNoSpace };

// The operation that fails, once; what comes after it succeeds again, as on a disk that was full
// for a moment or lost one page. A write that fails has written half of its bytes.
struct DiskFault {
  uint64_t operation = 0;  // Counted from 0, marks left out.
  DiskError error = DiskError::kIo;
};

// The operation that failed is a mark, with one of these before what it was.
inline constexpr char kFailed[] = "failed ";
inline constexpr char kFailedInFlush[] = "failed in flush ";
inline constexpr char kFailedInCompaction[] = "failed in compaction ";

// Thread-safe.
class FaultFileSystem final : public rocksdb::FileSystemWrapper {
 public:
  // Called for each operation once it has happened, one at a time.
  using Recorder = std::function<void(const DiskOperation&)>;

  explicit FaultFileSystem(FaultDisk disk, Recorder recorder = nullptr,
                           std::optional<DiskFault> fault = std::nullopt);

  const char* Name() const override { return "FaultFileSystem"; }

  // Records a mark behind all operations that have happened.
  void Mark(const std::string& name, uint64_t value);
  // The disk as it is now.
  FaultDisk disk() const;
  // How often a file whose path ends like this was synced.
  uint64_t SyncsOf(const std::string& suffix) const;

  rocksdb::IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSSequentialFile>* file,
                                      rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewRandomAccessFile(const std::string& path,
                                        const rocksdb::FileOptions& options,
                                        std::unique_ptr<rocksdb::FSRandomAccessFile>* file,
                                        rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewRandomRWFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSRandomRWFile>* file,
                                    rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewLogger(const std::string& path, const rocksdb::IOOptions& options,
                              std::shared_ptr<rocksdb::Logger>* logger,
                              rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus FileExists(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus GetChildren(const std::string& path, const rocksdb::IOOptions& options,
                                std::vector<std::string>* names,
                                rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus GetChildrenFileAttributes(const std::string& path,
                                              const rocksdb::IOOptions& options,
                                              std::vector<rocksdb::Env::FileAttributes>* files,
                                              rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus IsDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                bool* is_directory, rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus GetFileSize(const std::string& path, const rocksdb::IOOptions& options,
                                uint64_t* size, rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus GetFileModificationTime(const std::string& path,
                                            const rocksdb::IOOptions& options, uint64_t* time,
                                            rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus GetFreeSpace(const std::string& path, const rocksdb::IOOptions& options,
                                 uint64_t* bytes, rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus CreateDir(const std::string& path, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus CreateDirIfMissing(const std::string& path, const rocksdb::IOOptions& options,
                                       rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus DeleteDir(const std::string& path, const rocksdb::IOOptions& options,
                              rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus Truncate(const std::string& path, size_t size,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus LockFile(const std::string& path, const rocksdb::IOOptions& options,
                             rocksdb::FileLock** lock, rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus UnlockFile(rocksdb::FileLock* lock, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;

  rocksdb::IOStatus ReopenWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                       std::unique_ptr<rocksdb::FSWritableFile>* file,
                                       rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus LinkFile(const std::string& from, const std::string& to,
                             const rocksdb::IOOptions& options,
                             rocksdb::IODebugContext* dbg) override;

  // What nothing here uses must not reach the machine's files.
  rocksdb::IOStatus ReuseWritableFile(const std::string& path, const std::string& old_path,
                                      const rocksdb::FileOptions& options,
                                      std::unique_ptr<rocksdb::FSWritableFile>* file,
                                      rocksdb::IODebugContext* dbg) override;

 private:
  class File;
  class WritableFile;
  class RandomRwFile;
  class SequentialFile;
  class RandomAccessFile;
  class Directory;

  // Carries it out and records it, unless it is the one that fails.
  rocksdb::IOStatus Do(DiskOperation operation) ABSL_LOCKS_EXCLUDED(mutex_);
  rocksdb::IOStatus DoLocked(DiskOperation operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  rocksdb::IOStatus Fail(const DiskOperation& operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void ApplyLocked(const DiskOperation& operation) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // What a file holds from `offset` on, at most `size` bytes, copied to `scratch`.
  rocksdb::IOStatus Read(NodeNumber file, uint64_t offset, size_t size, rocksdb::Slice* result,
                         char* scratch) const;
  rocksdb::IOStatus FindFile(const std::string& path, NodeNumber* file) const;

  const Recorder recorder_;
  const std::optional<DiskFault> fault_;
  mutable Mutex mutex_;
  FaultDisk disk_ ABSL_GUARDED_BY(mutex_);
  uint64_t operations_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, uint64_t> syncs_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace raftkv::storage
