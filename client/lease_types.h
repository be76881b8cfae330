// What a Client's calls about leases take and return. proto/raftkv/v1/lease.proto says what a lease
// is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/cluster_types.h"

namespace raftkv {

struct Lease {
  int64_t id = 0;
  absl::Duration ttl = {};            // as it was granted
  absl::Duration ttl_remaining = {};  // 0: due, its expiry is about to be committed
};

struct GrantLeaseOptions {
  int64_t id = 0;  // 0: the store chooses a free one
  std::optional<absl::Duration> timeout = std::nullopt;
  std::string request_id = {};  // as PutOptions has it
};

struct RenewLeaseOptions {
  std::optional<absl::Duration> ttl = std::nullopt;  // this time; unset: as it was granted
  std::optional<absl::Duration> timeout = std::nullopt;
};

struct RevokeLeaseOptions {
  std::optional<absl::Duration> timeout = std::nullopt;
};

struct GetLeaseOptions {
  bool keys = false;           // its keys, too
  std::string after_key = {};  // only keys after this one
  std::optional<absl::Duration> timeout = std::nullopt;
};

struct ListLeasesOptions {
  int32_t page_size = 0;  // 0: the server's default, 1000
  int64_t after_id = 0;   // only leases with a larger id
  std::optional<absl::Duration> timeout = std::nullopt;
};

struct GrantLeaseResult {
  ResponseHeader header = {};
  Lease lease = {};
  bool replayed = false;  // the answer of an earlier try with the same request id
};

struct RenewLeaseResult {
  ResponseHeader header = {};
  Lease lease = {};
};

struct RevokeLeaseResult {
  ResponseHeader header = {};
  int64_t deleted = 0;  // keys that went with it
};

struct GetLeaseResult {
  ResponseHeader header = {};
  Lease lease = {};
  std::vector<std::string> keys = {};
  bool more_keys = false;  // after these
};

struct ListLeasesResult {
  ResponseHeader header = {};
  std::vector<Lease> leases = {};
  bool more = false;  // after these
};

}  // namespace raftkv
