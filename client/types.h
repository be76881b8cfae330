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
#include "client/cluster_types.h"
#include "client/key_types.h"
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
  // Whether it asks a member for the others now and then, and soon after an endpoint has failed,
  // and turns to them as well, behind `endpoints`, by the client addresses that they publish. Not
  // for a bulk writer, which keeps to `endpoints`.
  bool learns_members = true;
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

// None of `ttl`, `keep_ttl` and `lease_id`: the key no longer expires, whatever it did before. At
// most one of them; `lease_id` 0 is none.
// `request_id`, here and below, is 1 to 64 bytes and of this write alone, which is not done again
// under it, also by another process. Empty: drawn for each call, if ClientOptions::exactly_once.
struct PutOptions {
  std::optional<absl::Duration> ttl = std::nullopt;
  bool keep_ttl = false;
  int64_t lease_id = 0;
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

// Neither `ttl` nor `lease_id`: the key does not expire any more. Not both.
struct TouchOptions {
  std::optional<absl::Duration> ttl = std::nullopt;
  int64_t lease_id = 0;
  std::optional<Precondition> precondition = std::nullopt;
  std::optional<absl::Duration> timeout = std::nullopt;
  std::string request_id = {};
};

// None of `ttl`, `persist` and `lease_id`: the key expires when it did before. At most one of them.
struct IncrementOptions {
  int64_t delta = 1;
  int64_t initial = 0;  // what an absent key counts from
  std::optional<absl::Duration> ttl = std::nullopt;
  bool persist = false;
  int64_t lease_id = 0;
  std::optional<Precondition> precondition = std::nullopt;
  std::optional<absl::Duration> timeout = std::nullopt;
  std::string request_id = {};
};

struct CompactOptions {
  std::optional<absl::Duration> timeout = std::nullopt;
};

enum class EventType { kPut, kDelete, kExpire };

struct Event {
  EventType type = EventType::kPut;
  KeyValue kv = {};  // of a removal: the key, and in mod_revision the revision of the removal
  std::optional<KeyValue> previous = std::nullopt;
};

struct WatchOptions {
  int64_t start_revision = 0;  // inclusive; 0: from now on. Not with initial_state
  bool initial_state = false;  // first tell all keys, as of one revision
  bool keys_only = false;
  bool return_previous = false;
  std::vector<EventType> event_types = {};  // empty: all
  // A member that says nothing for three of these is left for another one. 100 ms to 1 h.
  absl::Duration heartbeat_interval = absl::Seconds(2);
};

// What a watch has to tell. With `begins` the watch starts, at `header.revision`, and with
// `initial_state` so does the initial state, from its first key: again when a connection broke
// before it was complete.
struct WatchUpdate {
  ResponseHeader header = {};
  bool begins = false;
  std::vector<Event> events = {};
  std::vector<KeyValue> initial_kvs = {};
  bool initial_complete = false;
  bool partial_revision = false;  // the last event's revision may go on in the next update
  int64_t progress_revision = 0;  // nothing up to here follows; 0: not said
};

struct CompactResult {
  ResponseHeader header = {};
  int64_t compact_revision = 0;
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

}  // namespace raftkv
