// Which failed calls may be made again, and when.
#pragma once

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/rng.h"

namespace raftkv::client {

enum class CallKind {
  kRead,         // may be repeated at will
  kWrite,        // carries no request id: repeating one that was taken in does it twice
  kMarkedWrite,  // carries one, and is done once
};

// Whether a call that ended with `status` may be made again: a read on UNAVAILABLE; a marked write
// on that and when its outcome is not known; another write only when its status proves that nobody
// took it in (CANNOT_CONNECT, NO_LEADER, SHUTTING_DOWN). Not on OVERLOADED: more load is no help.
bool IsSafeToRetry(CallKind kind, const absl::Status& status);

// Whether a write that ended with `status` certainly changed nothing and never will. A status that
// only a server's own answer can carry is proof; what gRPC makes up itself when a connection breaks
// or time runs out is not.
bool IsCertainlyNotDone(const absl::Status& status);

// Whether a marked write that ended with `status` came to that, whichever of its tries it was.
bool IsAnswerToWrite(const absl::Status& status);

// A write's failure that does not say what came of it, as one that does: IsOutcomeUnknown.
absl::Status MarkOutcomeUnknown(absl::Status status);

// The pauses of one call: doubling from `initial` to `max`, each shortened by a random part of up
// to a half, so that clients that failed together do not come back together.
// Confined to one thread.
class Backoff {
 public:
  // REQUIRES: 0 < initial <= max.
  Backoff(absl::Duration initial, absl::Duration max, Rng rng);

  absl::Duration Next();

 private:
  const absl::Duration max_;
  absl::Duration step_;
  Rng rng_;
};

}  // namespace raftkv::client
