// What the client library takes and returns: plain structs, no gRPC, no protobuf. The .proto files
// under proto/raftkv/v1 say what each field means to the cluster; here stands only what differs.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/member_status.h"
#include "client/member_types.h"

namespace raftkv {

// What a Client shows and believes when it speaks TLS. Files are in PEM and read once, by
// Client::Create. A server's certificate must be for the host of its endpoint.
struct TlsOptions {
  std::string ca_file = {};    // the CAs of servers' certificates; empty: those of this machine
  std::string cert_file = {};  // the client's own, for servers that ask for one; both or none
  std::string key_file = {};
};

// How a Client reaches the cluster.
struct ClientOptions {
  // Client addresses of members, `host:port` (a leading `http://`, or `https://` with `tls`, is
  // dropped). Any one that answers is enough; the first is asked first, and the one that works is
  // kept.
  std::vector<std::string> endpoints = {"127.0.0.1:2379"};
  // Unset: plain text, unless an endpoint begins with `https://`.
  std::optional<TlsOptions> tls = std::nullopt;
  // For calls that do not bring a timeout: everything, retries included.
  // More than 0, at most a day.
  absl::Duration request_timeout = absl::Seconds(5);
  // Longest wait for a connection before the next endpoint is tried.
  absl::Duration connect_timeout = absl::Seconds(2);
  // Most times that one call turns to each endpoint. At least 1.
  int tries_per_endpoint_max = 8;
  // Pause after all endpoints were tried in vain; doubles up to the maximum, and a random part of
  // up to half is left out.
  absl::Duration backoff_initial = absl::Milliseconds(50);
  absl::Duration backoff_max = absl::Seconds(1);
  bool exactly_once = true;  // each write has an id, and is done once however often it is tried
};

// How fresh a read must be.
enum class Consistency {
  kLinearizable,  // reflects every write that was acknowledged before the read began
  kStale,         // whatever the answering member has; works without a quorum
};

struct KeyValue {
  std::string key = {};
  std::string value = {};  // any bytes; empty too when only keys were asked for
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t version = 0;
  std::optional<absl::Duration> ttl_remaining = std::nullopt;  // unset: never expires
};

// What must hold for a write to happen; otherwise it changes nothing and fails with ABORTED /
// PRECONDITION_FAILED. An absent key has mod_revision 0 and version 0, and equals no value.
struct KeyExists {
  bool expected = true;
};
struct ModRevisionIs {
  int64_t mod_revision = 0;
};
struct VersionIs {
  int64_t version = 0;
};
struct ValueIs {
  std::string value = {};
};
using Precondition = std::variant<KeyExists, ModRevisionIs, VersionIs, ValueIs>;

// Which keys a List or DeleteRange is about.
struct SingleKey {
  std::string key = {};
};
struct Prefix {
  std::string prefix = {};  // "" is every key
};
struct Span {
  std::string start_key = {};  // inclusive; "" is the first of all
  std::string end_key = {};    // exclusive; "" is open
};
using KeyRange = std::variant<SingleKey, Prefix, Span>;

// In all options: `timeout` replaces ClientOptions::request_timeout for one call.
struct GetOptions {
  Consistency consistency = Consistency::kLinearizable;
  int64_t min_revision = 0;  // wait until the answering member has applied it
  std::optional<absl::Duration> timeout = std::nullopt;
};

// Neither `ttl` nor `keep_ttl`: the key no longer expires, whatever it did before. Not both.
// `request_id`, here and below, is 1 to 64 bytes and of this write alone, which is not done again
// under it, also by another process. Empty: drawn for each call, if ClientOptions::exactly_once.
struct PutOptions {
  std::optional<absl::Duration> ttl = std::nullopt;
  bool keep_ttl = false;
  std::optional<Precondition> precondition = std::nullopt;
  bool return_previous = false;
  std::optional<absl::Duration> timeout = std::nullopt;
  std::string request_id = {};
};

struct DeleteOptions {
  std::optional<Precondition> precondition = std::nullopt;
  bool return_previous = false;
  std::optional<absl::Duration> timeout = std::nullopt;
  std::string request_id = {};
};

struct DeleteRangeOptions {
  int64_t limit = 0;  // 0: all of them
  bool return_previous = false;
  std::optional<absl::Duration> timeout = std::nullopt;
  std::string request_id = {};
};

struct ListOptions {
  int32_t page_size = 0;  // 0: the server's default, 100
  std::string page_token = {};
  bool keys_only = false;
  bool count_only = false;
  bool descending = false;
  Consistency consistency = Consistency::kLinearizable;
  int64_t min_revision = 0;
  std::optional<absl::Duration> timeout = std::nullopt;
};

// Unset `ttl`: the key does not expire any more.
struct TouchOptions {
  std::optional<absl::Duration> ttl = std::nullopt;
  std::optional<Precondition> precondition = std::nullopt;
  std::optional<absl::Duration> timeout = std::nullopt;
  std::string request_id = {};
};

// Neither `ttl` nor `persist`: the key expires when it did before. Not both.
struct IncrementOptions {
  int64_t delta = 1;
  int64_t initial = 0;  // what an absent key counts from
  std::optional<absl::Duration> ttl = std::nullopt;
  bool persist = false;
  std::optional<Precondition> precondition = std::nullopt;
  std::optional<absl::Duration> timeout = std::nullopt;
  std::string request_id = {};
};

struct MemberOptions {
  Consistency consistency = Consistency::kLinearizable;
  std::optional<absl::Duration> timeout = std::nullopt;
};

struct VerifyHashOptions {
  uint64_t index = 0;  // of the log; 0: the newest that the member has applied
  bool scan = false;   // also compare the hash with all keys
  std::optional<absl::Duration> timeout = std::nullopt;
};

struct BackupOptions {
  // Stale: whatever the member has, also without a quorum.
  Consistency consistency = Consistency::kLinearizable;
};

struct GetResult {
  ResponseHeader header = {};
  std::optional<KeyValue> kv = std::nullopt;  // unset: no such key
};

struct PutResult {
  ResponseHeader header = {};
  int64_t mod_revision = 0;
  std::optional<KeyValue> previous = std::nullopt;
  bool replayed = false;  // the answer of an earlier try with the same request id
};

struct DeleteResult {
  ResponseHeader header = {};
  bool deleted = false;  // false: there was no such key
  std::optional<KeyValue> previous = std::nullopt;
  bool replayed = false;
};

struct DeleteRangeResult {
  ResponseHeader header = {};
  int64_t deleted = 0;
  std::vector<KeyValue> previous = {};
  bool more = false;  // `limit` left keys of the range
  bool replayed = false;
};

struct TouchResult {
  ResponseHeader header = {};
  bool touched = false;  // false: there was no such key
  bool replayed = false;
};

struct IncrementResult {
  ResponseHeader header = {};
  int64_t value = 0;
  int64_t mod_revision = 0;
  bool replayed = false;
};

struct ListResult {
  ResponseHeader header = {};
  std::vector<KeyValue> kvs = {};
  std::string next_page_token = {};  // empty: this page is the last
  int64_t count = 0;
};

// A member that can serve linearizable reads.
struct HealthResult {
  ResponseHeader header = {};
  absl::Duration took = {};  // connecting left out
};

// A hash of all that one member held after an entry of the log.
struct VerifyHashResult {
  ResponseHeader header = {};
  uint64_t index = 0;
  uint64_t state_hash = 0;
  int64_t revision = 0;
  int64_t key_count = 0;
  bool scanned = false;
};

// What a backup holds, and how much of it there is.
struct BackupResult {
  ResponseHeader header = {};  // `revision` is that of the backup
  int64_t key_count = 0;
  uint64_t index = 0;
  uint64_t state_hash = 0;     // as VerifyHash has it at `index`
  int64_t bytes_estimate = 0;  // of the whole; 0: not known
  int64_t bytes = 0;           // so far
};

// Takes the next bytes of a backup, and what is known of it with them; a failure ends the call.
using BackupSink = std::function<absl::Status(absl::string_view data, const BackupResult& so_far)>;

}  // namespace raftkv
