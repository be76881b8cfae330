// Whether rows of `leases` are those of one state: its leases come to what the applied state says,
// and their keys are those whose records have a lease, as many for each as it counts. In whatever
// order they come.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kv/applied_state.h"
#include "kv/kv_table.h"

namespace raftkv::storage {

// Confined to one thread.
class LeaseSum {
 public:
  // Adds a row of `leases`; false when its bytes make no sense.
  bool Add(absl::string_view row_key, absl::string_view value);
  // Adds a record of `latest`.
  void AddRecord(absl::string_view key, const kv::RecordHeader& header);
  // FailedPrecondition, in words, when the rows are not those of the state.
  absl::Status Check(const kv::AppliedState& applied) const;

  uint64_t rows() const { return leases_ + found_.count; }

 private:
  // Keys on leases: their number, and sums modulo 2^64 of hashes of each with its lease, and of
  // each one's lease.
  struct Keys {
    uint64_t count = 0;
    uint64_t keys = 0;
    uint64_t leases = 0;

    friend bool operator==(const Keys&, const Keys&) = default;
  };

  static void AddKey(int64_t id, absl::string_view key, Keys* keys);

  uint64_t leases_ = 0;
  uint64_t rows_hash_ = 0;
  Keys counted_;  // By the leases, without which keys they are.
  Keys found_;    // By rows of `leases`.
  Keys wanted_;   // By records of `latest`.
};

}  // namespace raftkv::storage
