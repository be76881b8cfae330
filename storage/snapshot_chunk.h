// How a snapshot of the applied state (raft/runtime/snapshot.h) lies in the bytes of its chunks.
// Between members: frozen; what changes a meaning needs another version.
//
//   chunk := version:byte item*                                     version 1 or 2
//   item  := row | end
//   row   := family:byte key_size:varint key value_size:varint value
//   end   := 0:byte state_rows:varint latest_rows:varint ttl_rows:varint
//            requests_rows:varint? history_rows:varint? leases_rows:varint?
//                                                                   all three in version 2
//            digest:fixed64
//
// Version 2 has the rows of `requests`, `history` and `leases`, and is sent once every member knows
// it, as the cluster version of the state says. All chunks of a snapshot are of one version. A
// family is 1 for `state`, 2 for `latest`, 3 for `ttl`, 4 for `requests`, 5 for `history` and 6 for
// `leases`; storage/key_layout.h has their rows.
// They come in this order, and those of a family by ascending key. The end comes once, last. The
// digest of no row is 0; with each row it becomes the XXH3, seeded with what it was, of the row's
// bytes. So a chunk that is missing, comes twice or in another place shows, besides by the order of
// keys.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/generation.h"

namespace raftkv::storage {

// A chunk has so many bytes, or one row.
inline constexpr size_t kChunkBytes = 256 << 10;
// More than the largest row needs: a value of 3 MiB and its key.
inline constexpr size_t kChunkBytesMax = 4 << 20;

// Of a state that has `requests`, `history` and `leases`, and of one that has none yet. Version 2,
// never released, had the places of request ids in rows of their own (ADR 47).
inline constexpr uint8_t kChunkVersion = 3;
inline constexpr uint8_t kFirstChunkVersion = 1;

// The version for a state of this cluster version.
uint8_t ChunkVersionOf(uint32_t cluster_version);

// The families whose rows a version has.
size_t FamiliesOf(uint8_t version);

// What there was before a point of the stream.
struct SnapshotTotals {
  std::array<uint64_t, kGenerationFamilies> rows = {};
  uint64_t digest = 0;

  friend bool operator==(const SnapshotTotals&, const SnapshotTotals&) = default;
};

// Builds one chunk after the other.
class SnapshotChunkBuilder {
 public:
  // Goes on behind `totals`.
  explicit SnapshotChunkBuilder(const SnapshotTotals& totals = {},
                                uint8_t version = kFirstChunkVersion);

  // Adds a row unless the chunk is full: then returns false. REQUIRES: rows come in their order.
  bool Add(size_t family, absl::string_view key, absl::string_view value);
  // Adds the end.
  void AddEnd();

  const SnapshotTotals& totals() const { return totals_; }
  std::string Take() { return std::move(chunk_); }

 private:
  uint8_t version_;
  std::string chunk_;
  SnapshotTotals totals_;
};

struct SnapshotRow {
  size_t family = 0;  // As in Generation::families().
  absl::string_view key;
  absl::string_view value;
};

// Reads the chunks of one snapshot, in their order. Confined to one thread.
class SnapshotChunkReader {
 public:
  // Visits the rows of the next chunk; they point into it. InvalidArgument for a chunk that no
  // builder makes behind the ones before it, and what `visit` returns when that is not OK. After a
  // failure there is nothing more to read.
  absl::Status Read(absl::string_view chunk,
                    absl::FunctionRef<absl::Status(const SnapshotRow& row)> visit);

  // Whether the end was read, and fits.
  bool at_end() const { return at_end_; }
  const SnapshotTotals& totals() const { return totals_; }

 private:
  absl::Status CheckOrder(const SnapshotRow& row);

  std::optional<uint8_t> version_;  // Of the chunks so far.
  SnapshotTotals totals_;
  bool at_end_ = false;
  // Of the last row.
  size_t family_ = 0;
  std::optional<std::string> key_;
};

}  // namespace raftkv::storage
