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
  const std::array<uint64_t, 7> numbers = {XXH3_64bits(key.data(), key.size()),
                                           static_cast<uint64_t>(header.create_revision),
                                           static_cast<uint64_t>(header.mod_revision),
                                           static_cast<uint64_t>(header.version),
                                           header.deadline.value(),
                                           XXH3_64bits(value.data(), value.size()),
                                           static_cast<uint64_t>(header.lease_id)};
  const size_t counted = header.lease_id == 0 ? numbers.size() - 1 : numbers.size();
  return XXH3_64bits(numbers.data(), counted * sizeof(numbers[0]));
}

uint64_t RequestHash(absl::string_view id, const RememberedRequest& request) {
  return HashOf<5>({XXH3_64bits(id.data(), id.size()), request.number, request.keep_until.value(),
                    request.content_hash,
                    XXH3_64bits(request.outcome.data(), request.outcome.size())});
}

uint64_t LeaseHash(const Lease& lease) {
  return HashOf<6>({static_cast<uint64_t>(lease.id), lease.ttl_ms, lease.lasts_ms,
                    lease.renewed.value(), lease.keys, lease.keys_max});
}

uint64_t LeaseIdHash(raft::ClusterMillis stamp, int64_t revision, uint64_t leases_hash,
                     uint64_t number) {
  return HashOf<4>({stamp.value(), static_cast<uint64_t>(revision), leases_hash, number});
}

uint64_t ContentHash(absl::string_view request) {
  return XXH3_64bits(request.data(), request.size());
}

uint64_t StateHash(const AppliedState& state) {
  const std::array<uint64_t, 12> numbers = {state.id.index.value(),
                                            static_cast<uint64_t>(state.revision),
                                            static_cast<uint64_t>(state.key_count),
                                            uint64_t{state.cluster_version},
                                            state.rows_hash,
                                            state.requests.first,
                                            state.requests.next,
                                            state.requests.bytes,
                                            state.requests.rows_hash,
                                            state.leases.count,
                                            state.leases.rows_hash,
                                            state.leases.term_began.value()};
  const size_t counted = state.cluster_version < kTxnCommandVersion ? 5 : numbers.size();
  const uint64_t hash = XXH3_64bits(numbers.data(), counted * sizeof(numbers[0]));
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

absl::Status CheckRequests(const AppliedState& state, uint64_t requests, uint64_t rows_hash) {
  if (requests == state.requests.count() && rows_hash == state.requests.rows_hash) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the state at index ", state.id.index.value(), " remembers ", requests,
                   " requests whose hashes come to ", rows_hash, ", and should remember ",
                   state.requests.count(), " whose hashes come to ", state.requests.rows_hash));
}

absl::Status CheckLeases(const AppliedState& state, uint64_t leases, uint64_t rows_hash) {
  if (leases == state.leases.count && rows_hash == state.leases.rows_hash) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(
      absl::StrCat("the state at index ", state.id.index.value(), " has ", leases,
                   " leases whose hashes come to ", rows_hash, ", and should have ",
                   state.leases.count, " whose hashes come to ", state.leases.rows_hash));
}

}  // namespace raftkv::kv
