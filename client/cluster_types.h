// Of types.h, what is asked of one member, and how fresh an answer must be.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/member_status.h"

namespace raftkv {

// How fresh a read must be.
enum class Consistency {
  kLinearizable,  // reflects every write that was acknowledged before the read began
  kStale,         // whatever the answering member has; works without a quorum
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
