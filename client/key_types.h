// Of types.h, keys and how they are read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "client/cluster_types.h"
#include "client/member_status.h"

namespace raftkv {

struct KeyValue {
  std::string key = {};
  std::string value = {};  // any bytes; empty too when only keys were asked for
  int64_t create_revision = 0;
  int64_t mod_revision = 0;
  int64_t version = 0;
  std::optional<absl::Duration> ttl_remaining = std::nullopt;  // unset: never expires by itself
  int64_t lease_id = 0;                                        // that it hangs on; 0: none
};

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

// `timeout`, in all options, replaces ClientOptions::request_timeout for one call.
struct GetOptions {
  Consistency consistency = Consistency::kLinearizable;
  int64_t min_revision = 0;  // wait until the answering member has applied it
  // The answer may lack what was acknowledged no longer ago than this: more than 0, at most a day;
  // instead of `consistency`.
  std::optional<absl::Duration> max_staleness = std::nullopt;
  int64_t at_revision = 0;  // as it was then; 0: as it is
  std::optional<absl::Duration> timeout = std::nullopt;
};

struct ListOptions {
  int32_t page_size = 0;  // 0: the server's default, 100
  std::string page_token = {};
  bool keys_only = false;
  bool count_only = false;
  bool descending = false;
  Consistency consistency = Consistency::kLinearizable;
  int64_t min_revision = 0;
  std::optional<absl::Duration> max_staleness = std::nullopt;  // as in GetOptions
  int64_t at_revision = 0;
  std::optional<absl::Duration> timeout = std::nullopt;
};

struct ScanOptions {
  int64_t limit = 0;  // 0: all keys
  bool keys_only = false;
  bool descending = false;
  Consistency consistency = Consistency::kLinearizable;
  int64_t min_revision = 0;
  std::optional<absl::Duration> max_staleness = std::nullopt;  // as in GetOptions
  int64_t at_revision = 0;
  // A member that sends nothing for so long is left for another one. When nothing has come for
  // ClientOptions::request_timeout, and all endpoints were tried, the scan fails.
  absl::Duration silence_max = absl::Seconds(30);
};

// What a scan has read. All chunks have the same `header.revision`.
struct ScanChunk {
  ResponseHeader header = {};
  std::vector<KeyValue> kvs = {};
};

struct GetResult {
  ResponseHeader header = {};
  std::optional<KeyValue> kv = std::nullopt;  // unset: no such key
};

struct ListResult {
  ResponseHeader header = {};
  std::vector<KeyValue> kvs = {};
  std::string next_page_token = {};  // empty: this page is the last
  int64_t count = 0;
};

}  // namespace raftkv
