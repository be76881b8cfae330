// Compares the rows of `ttl` with the records of `latest` that have a deadline, in whatever order
// either comes.
#pragma once

#include <cstdint>

#include "absl/strings/string_view.h"
#include "base/stable_hash.h"
#include "kv/kv_table.h"
#include "storage/key_layout.h"

namespace raftkv::storage {

// How many rows there are, and the sum of their hashes.
struct DeadlineSum {
  uint64_t count = 0;
  uint64_t sum = 0;

  // Adds a row of `ttl`.
  void AddRow(absl::string_view row_key, absl::string_view value) {
    ++count;
    sum += StableHash(value, StableHash(row_key));
  }
  // Adds the row that a record asks for, if it does. `header` has its row_hash.
  void AddRecord(absl::string_view key, const kv::RecordHeader& header) {
    if (header.deadline.value() != 0) {
      AddRow(EncodeTtlKey(header.deadline, key), EncodeRowHash(header.row_hash));
    }
  }

  friend bool operator==(const DeadlineSum&, const DeadlineSum&) = default;
};

}  // namespace raftkv::storage
