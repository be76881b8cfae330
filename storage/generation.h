// A generation is one whole replicated state: what commands, from the founding or from a snapshot
// on, have made of the keys, and the configuration that goes with it. Each has column families of
// its own, so that another state can be brought in beside the one that is read, and the old one
// goes when its last reader does.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "rocksdb/db.h"

namespace raftkv::storage {

// `state`, `latest`, `ttl`, `requests`, `history` and `leases`.
inline constexpr size_t kGenerationFamilies = 6;
// Without the last three, which older versions do not know.
inline constexpr size_t kFirstGenerationFamilies = 3;

// A column family for a message.
std::string NameOf(const rocksdb::ColumnFamilyHandle* family);

// Shared by whoever reads or writes the state, and thread-safe as RocksDB is. Outlived by the
// database.
class Generation {
 public:
  // Finds generation `number` among the open families, which it takes over: DataLoss when one of
  // its families is missing.
  static absl::StatusOr<std::shared_ptr<const Generation>> Take(
      rocksdb::DB* db, uint64_t number, std::vector<rocksdb::ColumnFamilyHandle*>* open);
  // Closes the families.
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  rocksdb::DB* const db;
  const uint64_t number;
  rocksdb::ColumnFamilyHandle* const state;
  rocksdb::ColumnFamilyHandle* const latest;
  rocksdb::ColumnFamilyHandle* const ttl;
  rocksdb::ColumnFamilyHandle* const requests;
  rocksdb::ColumnFamilyHandle* const history;
  rocksdb::ColumnFamilyHandle* const leases;
  // Rows of `history` up to this revision are gone, or about to go: who has an iterator on it and
  // then sees that this is less than what it looks for has missed nothing.
  mutable std::atomic<int64_t> history_removed{0};
  // Readers of snapshots, from under which no file of `history` may go.
  mutable std::atomic<int> snapshot_readers{0};

  // In the order of GenerationFamilies.
  std::array<rocksdb::ColumnFamilyHandle*, kGenerationFamilies> families() const {
    return {state, latest, ttl, requests, history, leases};
  }

 private:
  // `families` are in the order of GenerationFamilies.
  Generation(rocksdb::DB* database, uint64_t generation,
             const std::vector<rocksdb::ColumnFamilyHandle*>& families)
      : db(database),
        number(generation),
        state(families[0]),
        latest(families[1]),
        ttl(families[2]),
        requests(families[3]),
        history(families[4]),
        leases(families[5]) {}
};

}  // namespace raftkv::storage
