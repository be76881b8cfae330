#include "kv/state_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <array>
#include <bit>
#include <cstddef>

#include "absl/strings/str_cat.h"

namespace raftkv::kv {
namespace {

// Each as a fixed64, which is what it is in memory: bytes one by one would take half of the time.
static_assert(std::endian::native == std::endian::little);
template <size_t kCount>
uint64_t HashOf(const std::array<uint64_t, kCount>& numbers) {
  return XXH3_64bits(numbers.data(), sizeof(numbers));
}

}  // namespace

uint64_t RowHash(absl::string_view key, const RecordHeader& header, absl::string_view value) {
  return HashOf<6>(
      {XXH3_64bits(key.data(), key.size()), static_cast<uint64_t>(header.create_revision),
       static_cast<uint64_t>(header.mod_revision), static_cast<uint64_t>(header.version),
       header.deadline.value(), XXH3_64bits(value.data(), value.size())});
}

uint64_t StateHash(const AppliedState& state) {
  const uint64_t hash = HashOf<5>({state.id.index.value(), static_cast<uint64_t>(state.revision),
                                   static_cast<uint64_t>(state.key_count),
                                   uint64_t{state.cluster_version}, state.rows_hash});
  return hash == 0 ? 1 : hash;
}

StateDigest DigestOf(const AppliedState& state) {
  return {.hash = StateHash(state), .revision = state.revision, .key_count = state.key_count};
}

absl::Status CheckRows(const AppliedState& state, int64_t rows, uint64_t rows_hash) {
  if (rows == state.key_count && rows_hash == state.rows_hash) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the state at index ", state.id.index.value(), " has ", rows, " keys whose hashes come to ",
      rows_hash, ", and should have ", state.key_count, " whose hashes come to ", state.rows_hash));
}

}  // namespace raftkv::kv
