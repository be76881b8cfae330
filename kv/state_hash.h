// Hashes by which two members, or a member and its own rows, are compared. Equal on every machine.
// On disk and between members: frozen; what changes one needs another format version. Not against
// adversaries.
#pragma once

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "kv/applied_state.h"
#include "kv/kv_table.h"

namespace raftkv::kv {

// Of a key and all that it holds:
//
//   XXH3 of: XXH3(key):fixed64 create_revision:fixed64 mod_revision:fixed64 version:fixed64
//            deadline:fixed64 XXH3(value):fixed64 lease_id:fixed64?
//
// The last only where it is not 0, so that keys without a lease hash as they did before there were
// any.
//
// `header.row_hash` is not looked at.
uint64_t RowHash(absl::string_view key, const RecordHeader& header, absl::string_view value);

// Of a request id and all that it is remembered with:
//
//   XXH3 of: XXH3(id):fixed64 number:fixed64 keep_until:fixed64 content_hash:fixed64
//            XXH3(outcome):fixed64
uint64_t RequestHash(absl::string_view id, const RememberedRequest& request);

// Of a lease and all that it says:
//
//   XXH3 of: id:fixed64 ttl_ms:fixed64 lasts_ms:fixed64 renewed:fixed64 keys:fixed64
//            keys_max:fixed64
uint64_t LeaseHash(const Lease& lease);

// From which the store makes a lease's id:
//
//   XXH3 of: stamp:fixed64 revision:fixed64 leases_hash:fixed64 number:fixed64
uint64_t LeaseIdHash(raft::ClusterMillis stamp, int64_t revision, uint64_t leases_hash,
                     uint64_t number);

// Of what a client asked for under a request id: the bytes of its request.
uint64_t ContentHash(absl::string_view request);

// Of all that commands have made of keys, request ids and leases up to an entry; never 0:
//
//   XXH3 of: index:fixed64 revision:fixed64 key_count:fixed64 cluster_version:fixed64
//            rows_hash:fixed64 requests? leases?
//   requests := first:fixed64 next:fixed64 bytes:fixed64 rows_hash:fixed64
//   leases   := count:fixed64 rows_hash:fixed64 term_began:fixed64
//
// Both from cluster version 2 on: members that know neither have none in theirs.
uint64_t StateHash(const AppliedState& state);

// A state in short.
struct StateDigest {
  uint64_t hash = 0;  // StateHash.
  int64_t revision = 0;
  int64_t key_count = 0;

  friend bool operator==(const StateDigest&, const StateDigest&) = default;
};

StateDigest DigestOf(const AppliedState& state);

// Whether so many rows with this sum of hashes are those that the state tells of; otherwise
// FailedPrecondition, naming both.
absl::Status CheckRows(const AppliedState& state, int64_t rows, uint64_t rows_hash);
absl::Status CheckRequests(const AppliedState& state, uint64_t requests, uint64_t rows_hash);
absl::Status CheckLeases(const AppliedState& state, uint64_t leases, uint64_t rows_hash);

}  // namespace raftkv::kv
