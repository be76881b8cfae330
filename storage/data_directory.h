// DataDirectory is the directory around the database: who may use it, whether it is complete, and
// how it comes to be.
//
// Creation, each step durable before the next, so that a crash between any two is finished by the
// next start:
//   1. the directory    2. LOCK    3. db.new/ with an empty database    4. db.new/ renamed to db/
//   5. FORMAT
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace raftkv::storage {

// Marks a complete directory.
inline constexpr char kFormatFile[] = "FORMAT";

// Confined to one thread.
class DataDirectory {
 public:
  // Makes the directory when it is missing (its parent must exist), checks that it is raftkv's or
  // empty, and locks it. FailedPrecondition, and nothing changed, when it is neither, is held by
  // another process, has another format version or is not accessible; DataLoss when it is marked
  // complete and holds no database.
  static absl::StatusOr<DataDirectory> Open(const std::string& path);
  // Unlocks.
  ~DataDirectory();
  DataDirectory(DataDirectory&& other) noexcept;
  DataDirectory& operator=(DataDirectory&&) = delete;

  // Whether step 4 is done: there is a database.
  bool has_database() const { return has_database_; }
  std::string database_path() const;
  // Where to build the database; what a crash left there is removed first.
  absl::StatusOr<std::string> StartDatabase();
  // Step 4. REQUIRES: the database is closed and durable.
  absl::Status FinishDatabase();
  // Step 5; does nothing when it is done already.
  absl::Status MarkComplete();

 private:
  DataDirectory(std::string path, int lock_fd) : path_(std::move(path)), lock_fd_(lock_fd) {}

  std::string path_;
  int lock_fd_;
  bool has_database_ = false;
  bool complete_ = false;
};

}  // namespace raftkv::storage
