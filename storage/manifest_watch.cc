#include "storage/manifest_watch.h"

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/stable_hash.h"
#include "storage/disk_failure.h"
#include "storage/file_io.h"

namespace raftkv::storage {
namespace {

constexpr absl::string_view kCurrentFile = "/CURRENT";
constexpr absl::string_view kManifestPrefix = "MANIFEST-";

std::optional<uint64_t> ManifestNumber(absl::string_view name) {
  uint64_t number = 0;
  if (!absl::ConsumePrefix(&name, kManifestPrefix) || !absl::SimpleAtoi(name, &number)) {
    return std::nullopt;
  }
  return number;
}

std::string ManifestName(uint64_t number) {
  return absl::StrFormat("%s%06d", kManifestPrefix, number);
}

absl::Status NotAsRecorded(const std::string& path, absl::string_view how,
                           const std::string& fence_path) {
  return absl::DataLossError(absl::StrCat(
      path, " ", how, ", but ", fence_path,
      " recorded otherwise: it was damaged, or the two come from different directories or moments. "
      "It names the tables that hold the keys. ",
      kRemedy, kKeepStopped));
}

}  // namespace

// Adds up what is appended. Appends and syncs of one file come one after the other.
class ManifestWatch::ManifestFile final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  ManifestFile(std::unique_ptr<rocksdb::FSWritableFile> file, uint64_t number, ManifestWatch* watch)
      : FSWritableFileOwnerWrapper(std::move(file)),
        mark_{.number = number, .bytes = 0, .hash = kStableHashOfNothing},
        watch_(watch) {}

  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           rocksdb::IODebugContext* dbg) override {
    return Added(data, FSWritableFileOwnerWrapper::Append(data, options, dbg));
  }
  rocksdb::IOStatus Append(const rocksdb::Slice& data, const rocksdb::IOOptions& options,
                           const rocksdb::DataVerificationInfo& verification,
                           rocksdb::IODebugContext* dbg) override {
    return Added(data, FSWritableFileOwnerWrapper::Append(data, options, verification, dbg));
  }
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& options, rocksdb::IODebugContext* dbg) override {
    return Synced(FSWritableFileOwnerWrapper::Sync(options, dbg));
  }
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions& options,
                          rocksdb::IODebugContext* dbg) override {
    return Synced(FSWritableFileOwnerWrapper::Fsync(options, dbg));
  }

 private:
  rocksdb::IOStatus Added(const rocksdb::Slice& data, rocksdb::IOStatus status) {
    if (status.ok()) {
      mark_.bytes += data.size();
      mark_.hash = StableHash(ToView(data), mark_.hash);
    }
    return status;
  }
  rocksdb::IOStatus Synced(rocksdb::IOStatus status) {
    if (status.ok()) {
      watch_->OnSynced(mark_);
    }
    return status;
  }

  ManifestMark mark_;
  ManifestWatch* const watch_;
};

ManifestWatch::ManifestWatch(std::shared_ptr<rocksdb::FileSystem> files, const ManifestMark& live,
                             DurabilityFence* fence)
    : FileSystemWrapper(files), fence_(fence), record_{.current = live, .before = {}} {}

ManifestRecord ManifestWatch::record() const {
  MutexLock lock(&mutex_);
  return {.current = record_.current, .before = {}};
}

void ManifestWatch::SetFence(DurabilityFence* fence) {
  MutexLock lock(&mutex_);
  fence_ = fence;
  fence_->RecordManifest({.current = record_.current, .before = {}});
}

rocksdb::IOStatus ManifestWatch::NewWritableFile(const std::string& path,
                                                 const rocksdb::FileOptions& options,
                                                 std::unique_ptr<rocksdb::FSWritableFile>* file,
                                                 rocksdb::IODebugContext* dbg) {
  rocksdb::IOStatus status = FileSystemWrapper::NewWritableFile(path, options, file, dbg);
  const std::optional<uint64_t> number =
      ManifestNumber(absl::string_view(path).substr(path.rfind('/') + 1));
  if (status.ok() && number.has_value()) {
    *file = std::make_unique<ManifestFile>(std::move(*file), *number, this);
  }
  return status;
}

rocksdb::IOStatus ManifestWatch::RenameFile(const std::string& from, const std::string& to,
                                            const rocksdb::IOOptions& options,
                                            rocksdb::IODebugContext* dbg) {
  rocksdb::IOStatus status = FileSystemWrapper::RenameFile(from, to, options, dbg);
  if (status.ok() && absl::EndsWith(to, kCurrentFile)) {
    MutexLock lock(&mutex_);
    current_is_live_ = true;
  }
  return status;
}

void ManifestWatch::OnSynced(const ManifestMark& mark) {
  MutexLock lock(&mutex_);
  if (mark.number != record_.current.number) {
    // A second new one before CURRENT was changed takes the place of the first.
    if (current_is_live_) {
      record_.before = record_.current;
    }
    current_is_live_ = false;
  }
  record_.current = mark;
  if (fence_ != nullptr) {
    fence_->RecordManifest(record_);
  }
}

absl::StatusOr<ManifestMark> CheckManifest(rocksdb::FileSystem* files,
                                           const std::string& database_path,
                                           const std::string& fence_path,
                                           const ManifestRecord& recorded) {
  const std::string current_path = absl::StrCat(database_path, kCurrentFile);
  std::string current;
  rocksdb::Status status = rocksdb::ReadFileToString(files, current_path, &current);
  if (!status.ok()) {
    return ReadFailure(current_path, status);
  }
  ManifestMark mark;
  for (const ManifestMark& candidate : {recorded.current, recorded.before}) {
    if (candidate.number != 0 && current == ManifestName(candidate.number) + "\n") {
      mark = candidate;
    }
  }
  if (mark.number == 0) {
    return NotAsRecorded(current_path,
                         absl::StrCat("does not name ", ManifestName(recorded.current.number)),
                         fence_path);
  }
  const std::string path = absl::StrCat(database_path, "/", ManifestName(mark.number));
  std::string bytes;
  status = rocksdb::ReadFileToString(files, path, &bytes);
  if (!status.ok()) {
    return ReadFailure(path, status);
  }
  if (bytes.size() < mark.bytes) {
    return NotAsRecorded(
        path, absl::StrCat("has ", bytes.size(), " bytes instead of at least ", mark.bytes),
        fence_path);
  }
  if (StableHash(absl::string_view(bytes).substr(0, mark.bytes)) != mark.hash) {
    return NotAsRecorded(
        path, absl::StrCat("does not hold what it did in its first ", mark.bytes, " bytes"),
        fence_path);
  }
  return mark;
}

}  // namespace raftkv::storage
