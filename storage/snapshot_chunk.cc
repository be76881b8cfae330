#include "storage/snapshot_chunk.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/coding.h"
#include "base/status_macros.h"
#include "glog/logging.h"
#include "kv/command_version.h"

namespace raftkv::storage {
namespace {

constexpr char kEnd = 0;
// At most, of what a row has besides key and value.
constexpr size_t kChunkRowOverheadBytes = 16;

void AddToTotals(size_t family, absl::string_view row, SnapshotTotals* totals) {
  ++totals->rows[family];
  totals->digest = XXH3_64bits_withSeed(row.data(), row.size(), totals->digest);
}

absl::Status BadChunk(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("a chunk of a snapshot ", what));
}

}  // namespace

size_t FamiliesOf(uint8_t version) {
  return version == kFirstChunkVersion ? kFirstGenerationFamilies : kGenerationFamilies;
}

uint8_t ChunkVersionOf(uint32_t cluster_version) {
  return cluster_version < kv::kTxnCommandVersion ? kFirstChunkVersion : kChunkVersion;
}

SnapshotChunkBuilder::SnapshotChunkBuilder(const SnapshotTotals& totals, uint8_t version)
    : version_(version), totals_(totals) {
  chunk_.push_back(static_cast<char>(version));
}

bool SnapshotChunkBuilder::Add(size_t family, absl::string_view key, absl::string_view value) {
  CHECK_LT(family, FamiliesOf(version_));
  const bool is_empty = chunk_.size() == 1;
  if (!is_empty &&
      chunk_.size() + key.size() + value.size() + kChunkRowOverheadBytes > kChunkBytes) {
    return false;
  }
  const size_t start = chunk_.size();
  chunk_.push_back(static_cast<char>(family + 1));
  AppendVarint(uint64_t{key.size()}, &chunk_);
  chunk_.append(key.data(), key.size());
  AppendVarint(uint64_t{value.size()}, &chunk_);
  chunk_.append(value.data(), value.size());
  AddToTotals(family, absl::string_view(chunk_).substr(start), &totals_);
  return true;
}

void SnapshotChunkBuilder::AddEnd() {
  chunk_.push_back(kEnd);
  for (size_t family = 0; family < FamiliesOf(version_); ++family) {
    AppendVarint(totals_.rows[family], &chunk_);
  }
  AppendFixed64(totals_.digest, &chunk_);
}

absl::Status SnapshotChunkReader::CheckOrder(const SnapshotRow& row) {
  if (key_.has_value() && (row.family < family_ || (row.family == family_ && row.key <= *key_))) {
    return BadChunk(absl::StrCat("repeats a row, or brings it too late: a row of family ",
                                 row.family + 1, " follows one of family ", family_ + 1));
  }
  family_ = row.family;
  key_.emplace(row.key);
  return absl::OkStatus();
}

absl::Status SnapshotChunkReader::Read(
    absl::string_view chunk, absl::FunctionRef<absl::Status(const SnapshotRow& row)> visit) {
  if (at_end_) {
    return BadChunk("follows the last one");
  }
  if (chunk.size() > kChunkBytesMax) {
    return BadChunk(
        absl::StrCat("has ", chunk.size(), " bytes; at most ", kChunkBytesMax, " are allowed"));
  }
  ByteReader reader(chunk);
  const uint8_t version = reader.Byte();
  if (chunk.empty()) {
    return BadChunk("has no bytes");
  }
  if (version != version_.value_or(version)) {
    return BadChunk(absl::StrCat("is of version ", version, ", the one before of ", *version_));
  }
  if (version != kChunkVersion && version != kFirstChunkVersion) {
    return absl::FailedPreconditionError(absl::StrCat("a chunk of a snapshot is of version ",
                                                      version, ", this raftkvd reads ",
                                                      kFirstChunkVersion, " and ", kChunkVersion));
  }
  version_ = version;
  if (reader.empty()) {
    return BadChunk("holds nothing");
  }
  while (!reader.empty()) {
    const absl::string_view rest = reader.rest();
    const uint8_t tag = reader.Byte();
    if (tag > FamiliesOf(version)) {
      return BadChunk(absl::StrCat("has a row of family ", tag));
    }
    if (tag == kEnd) {
      SnapshotTotals told;
      for (size_t family = 0; family < FamiliesOf(version); ++family) {
        told.rows[family] = reader.Varint();
      }
      told.digest = reader.Fixed64();
      if (!reader.ok_at_end()) {
        return BadChunk("does not end with the end of the snapshot");
      }
      if (told != totals_) {
        return BadChunk("tells of other rows than came before it");
      }
      at_end_ = true;
      return absl::OkStatus();
    }
    SnapshotRow row;
    row.family = tag - size_t{1};
    row.key = reader.Bytes(reader.Varint());
    row.value = reader.Bytes(reader.Varint());
    if (!reader.ok()) {
      return BadChunk("ends within a row");
    }
    RAFTKV_RETURN_IF_ERROR(CheckOrder(row));
    AddToTotals(row.family, rest.substr(0, rest.size() - reader.rest().size()), &totals_);
    RAFTKV_RETURN_IF_ERROR(visit(row));
  }
  return absl::OkStatus();
}

}  // namespace raftkv::storage
