// The seam between the load generator and the stores that it can drive.
#pragma once

#include <grpcpp/grpcpp.h>

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"

namespace raftkv::bench {

// One place for a request in flight. Its messages are used again by the next request, so that a
// request costs the client as little as it can. Confined to one thread.
class Slot {
 public:
  virtual ~Slot() = default;

  // Starts a request; `tag` comes out of the completion queue when it is done.
  // REQUIRES: none is in flight.
  virtual void StartPut(absl::string_view key, absl::string_view value, absl::Duration timeout,
                        void* tag) = 0;
  virtual void StartGet(absl::string_view key, absl::Duration timeout, void* tag) = 0;

  // How the last request ended.
  virtual const grpc::Status& status() const = 0;
  // Whether the last get found its key.
  virtual bool found() const = 0;
};

// A store that can be measured. Thread-safe.
class Backend {
 public:
  virtual ~Backend() = default;

  // REQUIRES: `queue` outlives the slot.
  virtual std::unique_ptr<Slot> NewSlot(std::shared_ptr<grpc::Channel> channel,
                                        grpc::CompletionQueue* queue) const = 0;
  // Whether the server at the other end leads its cluster. Blocks for at most `timeout`.
  virtual absl::StatusOr<bool> IsLeader(std::shared_ptr<grpc::Channel> channel,
                                        absl::Duration timeout) const = 0;
};

// `stale` reads ask the answering member only; otherwise reads are linearizable. With `request_ids`
// each put has an id of its own.
std::unique_ptr<Backend> NewRaftkvBackend(bool stale, bool request_ids);
std::unique_ptr<Backend> NewEtcdBackend(bool stale);

// A context for one call. It waits for a lost connection to come back instead of failing at once,
// so that a server that is down shows as time and not as a flood of errors.
inline void PrepareContext(grpc::ClientContext& context, absl::Duration timeout) {
  context.set_deadline(std::chrono::system_clock::now() + absl::ToChronoNanoseconds(timeout));
  context.set_wait_for_ready(true);
}

}  // namespace raftkv::bench
