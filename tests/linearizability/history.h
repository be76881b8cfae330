// What clients asked of the store and what they were told: the input of every check in this folder.
//
// A history can be kept as text, one operation a line, so that one that fails can be replayed:
//   line     := invoked completed 'c'client request '->' answer          completed '-': unknown
//   request  := 'put' key value options | 'delete' key options | 'get' key
//   options  := ['if=' expected_revision] ['ttl=' duration]
//   answer   := 'ok' facts | 'absent' facts | value facts | 'precondition_failed' facts
//             | 'failed' | 'unknown'
//   facts    := ['@' mod_revision] ['store=' store_revision]
// Keys and values are C strings in quotes, a space in them is \040; numbers are decimal. A put that
// succeeded is 'ok', a delete 'ok' or 'absent' (there was nothing to delete), a get 'absent' or the
// value. Empty lines and lines that begin with # are skipped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/mutex.h"

namespace raftkv::linearizability {

enum class Kind { kPut, kDelete, kGet };

enum class Outcome {
  kOk,
  kPreconditionFailed,  // No effect; says the key's mod_revision, as a read does.
  kFailed,              // Certainly no effect: NO_LEADER, OVERLOADED, ...
  kUnknown,             // OUTCOME_UNKNOWN, a timeout, a broken connection, or never answered.
};

struct Answer {
  Outcome outcome = Outcome::kUnknown;
  bool found = false;      // Get: the key was there. Delete: there was something to delete.
  std::string value = {};  // Get that found the key.
  // A write's own revision (not of a delete that found nothing), a Get's kv.mod_revision, or with
  // kPreconditionFailed the current one (0: no such key). Unset: not known.
  std::optional<int64_t> mod_revision = std::nullopt;
  // The header's revision. Unset: not known.
  std::optional<int64_t> store_revision = std::nullopt;
};

// One call of a client. A List is a Get of each key that it could have shown; stale reads do not
// belong in a history.
//
// Times are of any clock that all clients share and that only grows. An operation precedes another
// when it completed before the other was invoked; at equal times they count as concurrent, so a
// coarse clock hides violations. HistoryRecorder makes times unique.
struct Operation {
  int64_t client = 0;
  Kind kind = Kind::kGet;
  std::string key = {};
  std::string value = {};  // Put: what to write.
  // Put, Delete: the precondition; 0: no such key.
  std::optional<int64_t> expected_revision = std::nullopt;
  // Put: the system may remove the value at or after invoked + ttl, never earlier. In the unit of
  // the times; a caller whose clocks drift takes their rate error off.
  std::optional<int64_t> ttl = std::nullopt;
  int64_t invoked = 0;
  int64_t completed = 0;  // Means nothing when the outcome is unknown.
  Answer answer = {};
};

using History = std::vector<Operation>;

// Whether the fields fit together. InvalidArgument otherwise.
absl::Status Validate(const Operation& operation);

// The operation as a line of the text form, without a line end.
std::string Describe(const Operation& operation);

std::string FormatHistory(const History& history);
// Undoes FormatHistory. InvalidArgument names the line that is wrong.
absl::StatusOr<History> ParseHistory(absl::string_view text);

// Collects a history while it happens, and gives every event a time of its own: `now`, or a little
// later when that time is taken. So `now` should be fine, nanoseconds for example. Thread-safe.
class HistoryRecorder {
 public:
  // Notes that `request` is about to be sent; its times and answer are ignored. Returns a number
  // for End. Without an End the outcome is unknown.
  size_t Begin(Operation request, int64_t now);
  void End(size_t number, Answer answer, int64_t now);

  // What was recorded so far.
  History history() const;

 private:
  int64_t UniqueTime(int64_t now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  History history_ ABSL_GUARDED_BY(mutex_);
  std::optional<int64_t> last_time_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace raftkv::linearizability
