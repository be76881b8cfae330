// raftkv::BulkWriter writes many keys to a cluster, with many writes under way at a time.
//
//   raftkv::BulkWriterOptions options;
//   options.on_error = [](const raftkv::BulkError& error) { ... };
//   absl::StatusOr<std::unique_ptr<raftkv::BulkWriter>> writer = client.NewBulkWriter(options);
//   for (...) { absl::Status added = (*writer)->Put(key, value); ... }
//   absl::Status all = (*writer)->Flush();
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace raftkv {

// A write that was not done, or whose outcome is not known (IsOutcomeUnknown).
struct BulkError {
  uint64_t number = 0;  // of the write, in the order in which they were added, from 0
  std::string key = {};
  absl::Status status = {};
};

struct BulkWriterOptions {
  // The window: writes that were added and are not settled, and their bytes. An addition beyond it
  // waits; one larger than all of it goes alone. 1 to 100,000; at least 1.
  size_t writes_max = 2048;
  size_t bytes_max = 8 << 20;
  // Of one write, from when it is added, with all tries. More than 0, at most ten minutes less a
  // bit, since ids are remembered for ten minutes.
  absl::Duration timeout = absl::Seconds(60);
  // A member that has writes and answers none for so long is left for another one. To be more than
  // the servers' --request_timeout_ms, 10 s by default: they wait for a leader so long.
  absl::Duration silence_max = absl::Seconds(15);
  // Hears of each failure, on a thread of the writer's. It must not call the writer.
  std::function<void(const BulkError& error)> on_error = nullptr;
};

struct BulkCounts {
  uint64_t added = 0;
  uint64_t done = 0;
  uint64_t failed = 0;  // added = done + failed + those that are not settled yet
};

// Each write has a request id. After a connection broke, or a member stopped or was overloaded, it
// is sent again, to another endpoint where there is one, and is done once however often it was
// sent. Writes of one key take effect in the order in which they were added, except that one whose
// outcome is not known may still take effect after those behind it; writes of different keys take
// effect in any order. They are no transaction: each one is done, or fails, alone.
//
// Thread-safe. Must not outlive the Client that made it, nor that one's copies.
class BulkWriter {
 public:
  // What is not settled is given up, without a word to on_error: it may or may not have happened.
  virtual ~BulkWriter() = default;

  // Adds a write, and waits for room in the window. Fails, and adds nothing, when the write could
  // not travel (as Client::Put's errors), or when no endpoint takes streams of this client:
  // UNIMPLEMENTED, UNAUTHENTICATED, CLUSTER_MISMATCH. Unset `ttl`: the key does not expire.
  virtual absl::Status Put(absl::string_view key, absl::string_view value,
                           std::optional<absl::Duration> ttl = std::nullopt) = 0;
  // Deletes a key; one that is missing is no error.
  virtual absl::Status Delete(absl::string_view key) = 0;

  // Waits until all that was added before is settled, which takes no longer than `timeout`. The
  // first failure of a write since the last Flush; OK: all were done.
  virtual absl::Status Flush() = 0;

  virtual BulkCounts counts() const = 0;
};

}  // namespace raftkv
