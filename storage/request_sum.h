// Whether rows of `requests` are those of one state: each id has its row and its place, which fit
// together, and all of them come to what the applied state says.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kv/applied_state.h"

namespace raftkv::storage {

// Confined to one thread.
class RequestSum {
 public:
  // Adds a row, of a state; false when its bytes make no sense.
  bool Add(absl::string_view key, absl::string_view value, const kv::AppliedState& applied);
  // FailedPrecondition, in words, when the rows are not those of the state.
  absl::Status Check(const kv::AppliedState& applied) const;

  uint64_t rows() const { return places_.count + requests_.count; }

 private:
  bool AddPlaces(uint64_t first, absl::string_view value, uint64_t first_kept);

  // Of ids or of places: number, and sums modulo 2^64, over those things that both tell.
  struct Sum {
    uint64_t count = 0;
    uint64_t numbers = 0;
    uint64_t keep_until = 0;
    uint64_t bytes = 0;
    uint64_t rows_hash = 0;

    friend bool operator==(const Sum&, const Sum&) = default;
  };

  Sum places_;
  Sum requests_;
};

}  // namespace raftkv::storage
