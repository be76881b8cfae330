// Reads of the history where it is kept.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "kv/history.h"

namespace raftkv::kv {

// Asked now and then by a read that may be long, on its thread;
// true ends it with Cancelled. Empty: never.
using GivenUp = std::function<bool()>;

// A half-open interval of keys; an empty end is open.
struct KeyInterval {
  std::string start;
  std::string end;

  bool Holds(absl::string_view key) const { return key >= start && (end.empty() || key < end); }
  bool IsEmpty() const { return !end.empty() && start >= end; }
};

// A place among the events, which lie by revision and then by key: before the first one that is not
// before it. The empty key is the beginning of a revision.
struct HistoryPlace {
  int64_t revision = 1;
  std::string key = {};

  friend bool operator==(const HistoryPlace&, const HistoryPlace&) = default;
  friend bool operator<(const HistoryPlace& a, const HistoryPlace& b) {
    return std::tie(a.revision, a.key) < std::tie(b.revision, b.key);
  }
};

// The place right after an event.
inline HistoryPlace After(const HistoryEvent& event) {
  return {.revision = event.revision, .key = event.key + '\0'};
}

struct HistoryQuery {
  HistoryPlace from = {};
  // The last revision that may be read.
  int64_t through = 0;
  // An event of any of them is wanted.
  std::vector<KeyInterval> intervals = {};
  // Events that are found, and looked at; what they take together (BytesOf). Each at least 1.
  uint64_t events_max = 0;
  uint64_t visited_max = 0;
  uint64_t bytes_max = 0;
  // Fill `previous` of each event that replaced a record, wherever that is.
  bool with_previous = false;
  GivenUp given_up = nullptr;
};

struct HistoryPage {
  std::vector<HistoryEvent> events = {};
  // Where the next read goes on: all before it that was wanted is in `events`.
  HistoryPlace next = {};
};

// Thread-safe; its calls may wait for the disk. It is of one state: events that are applied after
// it was asked for may be missing.
class HistorySource {
 public:
  virtual ~HistorySource() = default;

  // Events from a place on, in their order. OutOfRange when some of them are removed already;
  // Cancelled; DataLoss when a file is corrupted.
  virtual absl::StatusOr<HistoryPage> Read(const HistoryQuery& query) const = 0;
  // What a revision did to a key, as it was written down; nullopt: nothing. OutOfRange when that is
  // removed; DataLoss when a file is corrupted.
  virtual absl::StatusOr<std::optional<HistoryEvent>> Find(int64_t revision,
                                                           absl::string_view key) const = 0;
};

}  // namespace raftkv::kv
