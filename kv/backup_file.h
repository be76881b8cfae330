// A backup is one applied state as a file, for whoever keeps it outside of the cluster. On disk:
// frozen; what changes a meaning needs another version.
//
//   backup := "raftkv backup 1\n" frame*
//   frame  := size:fixed32 body checksum:fixed64          size is the body's
//   body   := 1:byte manifest       raftkv.v1.BackupManifest; the first frame
//           | 2:byte chunk          of the state, as storage/snapshot_chunk.h has it
//           | 3:byte                the end; the last frame, and no byte follows
//
// The checksum is the XXH3 of size and body, seeded with the checksum of the frame before, or 0. So
// the last one stands for the whole file: equal ones are of equal backups.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "raftkv/v1/maintenance.pb.h"

namespace raftkv::kv {

inline constexpr uint64_t kBackupVersion = 1;
// Of a frame, size and checksum included: more than the largest chunk needs.
inline constexpr size_t kBackupFrameBytesMax = 5 << 20;

// XXH3 of some bytes.
uint64_t BackupChecksum(absl::string_view bytes, uint64_t seed = 0);

// Makes the bytes of one backup, in pieces that follow each other. Confined to one thread.
class BackupEncoder {
 public:
  // The beginning. Called once, first.
  std::string Begin(const v1::BackupManifest& manifest);
  // REQUIRES: the chunk fits into a frame.
  std::string AddChunk(absl::string_view chunk);
  // The end. Called once, last.
  std::string End();

 private:
  std::string Frame(char kind, absl::string_view payload);

  uint64_t checksum_ = 0;
};

// Reads a backup from its beginning to its end, a frame at a time. Confined to one thread.
class BackupReader {
 public:
  // Opens the file and reads its manifest. Every failure of this class names the file: NotFound and
  // the like when it cannot be read, DataLoss when it is damaged or cut short, InvalidArgument when
  // it is no backup, FailedPrecondition when it is of another version.
  static absl::StatusOr<BackupReader> Open(const std::string& path);
  ~BackupReader();
  BackupReader(BackupReader&& other) noexcept;
  BackupReader& operator=(BackupReader&&) = delete;

  const v1::BackupManifest& manifest() const { return manifest_; }
  // The next chunk of the state; nullopt after the last, once the end has been checked. REQUIRES:
  // none failed.
  absl::StatusOr<std::optional<std::string>> ReadChunk();
  // Of the whole file, never 0. REQUIRES: ReadChunk has returned nullopt.
  uint64_t checksum() const { return checksum_ == 0 ? 1 : checksum_; }
  // How many bytes were read.
  uint64_t bytes() const { return offset_; }

 private:
  BackupReader(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}

  absl::Status ReadBeginning();
  // Reads exactly so many bytes; DataLoss when the file ends before.
  absl::Status Read(size_t size, std::string* bytes);
  // The next body.
  absl::StatusOr<std::string> ReadFrame();
  absl::Status Damaged(absl::string_view what) const;

  std::string path_;
  int fd_;
  v1::BackupManifest manifest_;
  uint64_t offset_ = 0;
  uint64_t checksum_ = 0;
};

}  // namespace raftkv::kv
