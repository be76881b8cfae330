// DataDirectory is the directory around the database: who may use it, whether it is complete, and
// how it comes to be.
//
// Creation, each step durable before the next, so that a crash between any two is finished by the
// next start:
//   1. the directory    2. LOCK    3. db.new/ with an empty database    4. db.new/ renamed to db/
//   5. FENCE    6. FORMAT
// Only then may there be a db.staging/ (storage/snapshot_staging.h), and a BALLAST; they stay when
// the last two steps are taken back (MarkIncomplete).
//
// A directory with a DIFFERS holds a state that was found wrong; it is kept for whoever looks into
// that, and never opened again. The file is a line of text for people.
//
// The directory itself and LOCK are made with system calls, since RocksDB's file system knows no
// access rights and no lock that tells its holder. All else goes through that file system.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "rocksdb/file_system.h"

namespace raftkv::storage {

// Marks a complete directory and says its version.
inline constexpr char kFormatFile[] = "FORMAT";
inline constexpr char kFenceFile[] = "FENCE";
inline constexpr char kDiffersFile[] = "DIFFERS";
inline constexpr char kRemovedFile[] = "REMOVED";

// Versions 1 to 3 were never released: their fence, if any, did not know of the MANIFEST, or the
// member's own rows and the replicated ones shared a column family.
inline constexpr uint64_t kDirectoryVersion = 4;

// Whether the FORMAT file at `path` says kDirectoryVersion. FailedPrecondition when it says
// another, DataLoss when `line`, its bytes, is nothing that raftkv wrote.
absl::Status CheckFormat(absl::string_view path, absl::string_view line);

// For a new directory; never 0.
uint64_t RandomDataId();

// Confined to one thread.
class DataDirectory {
 public:
  // Makes the directory when it is missing (its parent must exist), checks that it is raftkv's or
  // empty, and locks it. FailedPrecondition, and nothing changed, when it is neither, is held by
  // another process, has an unknown version or is not accessible; DataLoss when it is marked
  // complete and holds no database, or marked as differing. Once it is locked, a ballast is given
  // up for space where there is none.
  static absl::StatusOr<DataDirectory> Open(const std::string& path,
                                            std::shared_ptr<rocksdb::FileSystem> files);
  // The process that has the directory at `path` locked, as "pid 12"; empty: none. Changes nothing.
  static std::string UserOf(const std::string& path);
  // Unlocks.
  ~DataDirectory();
  DataDirectory(DataDirectory&& other) noexcept;
  DataDirectory& operator=(DataDirectory&&) = delete;

  // Whether step 4 is done: there is a database.
  bool has_database() const { return has_database_; }
  // Whether step 5 is done, as far as can be told: once the directory is complete,
  // the file must be there.
  bool has_fence() const { return has_fence_; }
  std::string database_path() const;
  std::string fence_path() const;
  std::string staging_path() const;
  std::string ballast_path() const;
  rocksdb::FileSystem* files() const { return files_.get(); }
  // An empty directory to build the database in; what a crash left there is removed first.
  absl::StatusOr<std::string> StartDatabase();
  // Step 4. REQUIRES: the database is closed and durable.
  absl::Status FinishDatabase();
  // Step 6; does nothing when it is done already. REQUIRES: the fence is there and durable.
  absl::Status MarkComplete();
  // Takes the steps 5 and 6 back, durably: the next Open and MarkComplete take them anew. Fails
  // when a file cannot be removed.
  absl::Status MarkIncomplete();
  // Durably marks the directory as differing; `what` is what was found, a clause.
  absl::Status MarkDiffering(absl::string_view what);
  // The same as that of a member that was removed from its cluster.
  absl::Status MarkRemoved(absl::string_view what);

 private:
  DataDirectory(std::string path, std::shared_ptr<rocksdb::FileSystem> files, int lock_fd)
      : path_(std::move(path)), files_(std::move(files)), lock_fd_(lock_fd) {}

  std::string path_;
  std::shared_ptr<rocksdb::FileSystem> files_;
  int lock_fd_;
  bool has_database_ = false;
  bool has_fence_ = false;
  bool is_complete_ = false;
};

}  // namespace raftkv::storage
