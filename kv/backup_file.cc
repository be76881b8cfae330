#include "kv/backup_file.h"

#define XXH_INLINE_ALL
#include <fcntl.h>
#include <unistd.h>
#include <xxhash.h>

#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "glog/logging.h"

namespace raftkv::kv {
namespace {

constexpr char kManifestFrame = 1;
constexpr char kChunkFrame = 2;
constexpr char kEndFrame = 3;

constexpr absl::string_view kMagic = "raftkv backup ";
// "1\n"; numbers of later versions may be longer.
constexpr size_t kVersionBytesMax = 20;

std::string FirstLine() { return absl::StrCat(kMagic, kBackupVersion, "\n"); }

}  // namespace

uint64_t BackupChecksum(absl::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string BackupEncoder::Begin(const v1::BackupManifest& manifest) {
  return FirstLine() + Frame(kManifestFrame, manifest.SerializeAsString());
}

std::string BackupEncoder::AddChunk(absl::string_view chunk) { return Frame(kChunkFrame, chunk); }

std::string BackupEncoder::End() { return Frame(kEndFrame, ""); }

std::string BackupEncoder::Frame(char kind, absl::string_view payload) {
  std::string frame;
  frame.reserve(kFixed32Bytes + 1 + payload.size() + kFixed64Bytes);
  AppendFixed32(static_cast<uint32_t>(payload.size() + 1), &frame);
  frame.push_back(kind);
  frame.append(payload.data(), payload.size());
  checksum_ = BackupChecksum(frame, checksum_);
  AppendFixed64(checksum_, &frame);
  CHECK_LE(frame.size(), kBackupFrameBytesMax);
  return frame;
}

absl::StatusOr<BackupReader> BackupReader::Open(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot open ", path));
  }
  BackupReader reader(path, fd);
  RAFTKV_RETURN_IF_ERROR(reader.ReadBeginning());
  return reader;
}

BackupReader::BackupReader(BackupReader&& other) noexcept
    : path_(std::move(other.path_)),
      fd_(std::exchange(other.fd_, -1)),
      manifest_(std::move(other.manifest_)),
      offset_(other.offset_),
      checksum_(other.checksum_) {}

BackupReader::~BackupReader() {
  if (fd_ >= 0) {
    close(fd_);
  }
}

absl::Status BackupReader::ReadBeginning() {
  std::string line;
  if (const absl::Status read = Read(kMagic.size(), &line); !read.ok() && !absl::IsDataLoss(read)) {
    return read;
  }
  if (line != kMagic) {
    return absl::InvalidArgumentError(absl::StrCat(path_, " is no backup of raftkv"));
  }
  std::string number;
  while (!absl::EndsWith(number, "\n") && number.size() < kVersionBytesMax) {
    std::string byte;
    RAFTKV_RETURN_IF_ERROR(Read(1, &byte));
    number += byte;
  }
  uint64_t version = 0;
  if (!absl::SimpleAtoi(absl::StripSuffix(number, "\n"), &version)) {
    return Damaged("its first line names no version");
  }
  if (version != kBackupVersion) {
    return absl::FailedPreconditionError(
        absl::StrCat(path_, " is a backup of format version ", version, ", this raftkv knows ",
                     kBackupVersion, ": use the version of raftkv that made it, or a newer one"));
  }
  RAFTKV_ASSIGN_OR_RETURN(const std::string body, ReadFrame());
  if (body[0] != kManifestFrame || !manifest_.ParseFromString(body.substr(1))) {
    return Damaged("it does not begin with what it holds");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<std::string>> BackupReader::ReadChunk() {
  RAFTKV_ASSIGN_OR_RETURN(std::string body, ReadFrame());
  if (body[0] == kChunkFrame) {
    body.erase(0, 1);
    return std::optional<std::string>(std::move(body));
  }
  if (body[0] != kEndFrame || body.size() != 1) {
    return Damaged("it has a frame of an unknown kind");
  }
  char byte;
  if (read(fd_, &byte, 1) != 0) {
    return Damaged("something follows its end");
  }
  return std::optional<std::string>();
}

absl::StatusOr<std::string> BackupReader::ReadFrame() {
  std::string head;
  RAFTKV_RETURN_IF_ERROR(Read(kFixed32Bytes, &head));
  const uint32_t size = ByteReader(head).Fixed32();
  if (size == 0 || size > kBackupFrameBytesMax) {
    return Damaged(absl::StrCat("it has a frame of ", size, " bytes"));
  }
  std::string body;
  RAFTKV_RETURN_IF_ERROR(Read(size, &body));
  std::string tail;
  RAFTKV_RETURN_IF_ERROR(Read(kFixed64Bytes, &tail));
  head += body;
  checksum_ = BackupChecksum(head, checksum_);
  if (ByteReader(tail).Fixed64() != checksum_) {
    return Damaged("a checksum does not fit");
  }
  return body;
}

absl::Status BackupReader::Read(size_t size, std::string* bytes) {
  bytes->resize(size);
  size_t have = 0;
  while (have < size) {
    const ssize_t got = read(fd_, bytes->data() + have, size - have);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return absl::ErrnoToStatus(errno, absl::StrCat("cannot read ", path_));
    }
    if (got == 0) {
      bytes->resize(have);
      return absl::DataLossError(absl::StrCat(path_, " is cut short: it ends after ",
                                              offset_ + have,
                                              " bytes, before the end of the backup"));
    }
    have += static_cast<size_t>(got);
  }
  offset_ += size;
  return absl::OkStatus();
}

absl::Status BackupReader::Damaged(absl::string_view what) const {
  return absl::DataLossError(absl::StrCat(path_, " is damaged before byte ", offset_, ": ", what));
}

}  // namespace raftkv::kv
