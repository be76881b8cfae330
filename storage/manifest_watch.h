// ManifestWatch tells the fence how far the MANIFEST came. The MANIFEST names the tables that a
// database consists of, and RocksDB takes whatever it cannot read at its end for a write that a
// crash tore: with one bit flipped it forgets tables, and opens with keys as they were before them.
// What was synced a crash cannot tear, so the fence remembers it, and a start looks whether it is
// still there.
//
// It is a file system that passes everything on. A sync of a MANIFEST returns once the fence has
// recorded it, so RocksDB deletes no file that an older state needs before that.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "rocksdb/file_system.h"
#include "storage/durability_fence.h"

namespace raftkv::storage {

// Thread-safe.
class ManifestWatch final : public rocksdb::FileSystemWrapper {
 public:
  // `live` is the MANIFEST that CURRENT names, as far as the fence recorded it. `fence`, if there
  // is one yet, is borrowed until the next SetFence.
  ManifestWatch(std::shared_ptr<rocksdb::FileSystem> files, const ManifestMark& live,
                DurabilityFence* fence);

  const char* Name() const override { return "raftkv.ManifestWatch"; }

  // What is synced by now. REQUIRES: nothing before it counts any more: the database is open.
  ManifestRecord record() const;
  // Borrows `fence` and brings it up to what is synced by now.
  void SetFence(DurabilityFence* fence);

  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;

 private:
  class ManifestFile;

  void OnSynced(const ManifestMark& mark);

  mutable Mutex mutex_;
  DurabilityFence* fence_ ABSL_GUARDED_BY(mutex_);
  ManifestRecord record_ ABSL_GUARDED_BY(mutex_);
  // Whether CURRENT names record_.current.
  bool current_is_live_ ABSL_GUARDED_BY(mutex_) = true;
};

// Which of the recorded MANIFESTs CURRENT names, once its bytes are found to be those that were
// recorded. DataLoss, naming the file and what to do, when it is neither or they are not. Reads
// only. `fence_path` is for the message.
absl::StatusOr<ManifestMark> CheckManifest(rocksdb::FileSystem* files,
                                           const std::string& database_path,
                                           const std::string& fence_path,
                                           const ManifestRecord& recorded);

}  // namespace raftkv::storage
