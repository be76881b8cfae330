// Recipes on leases: a lock, and an election, which is a lock whose holder is told to others. Each
// candidate writes a key of its own, `name`/ID, that hangs on its lease; whose key was created
// first holds it, and the others wait in the order in which they came. Who is gone loses its place
// when its lease expires.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/client.h"
#include "client/lease_keeper.h"

namespace raftkv {

struct LockOptions {
  // For how long a holder that is gone keeps others out, and how long a holder may be cut off
  // before it loses the lock. At least 1 s.
  absl::Duration ttl = absl::Seconds(10);
  // How long to wait for it; DEADLINE_EXCEEDED then. Unset: as long as it takes.
  std::optional<absl::Duration> wait = std::nullopt;
  // What others read of the holder: an election's value.
  std::string value = {};
  // Asked about twice a second while it waits; true ends that, with CANCELLED.
  std::function<bool()> cancelled = nullptr;
};

// A lock, or an election that was won. Nothing can promise a holder that it still holds it: between
// its look and its deed it may stand still for longer than the ttl. So what must happen under the
// lock alone carries the fencing token to where it happens:
//
//   in the cluster, as a guard of the transaction that does it, which then fails if the lock is
//   lost:  client.Run({.guards = {lock->StillHeld()}, .then_ops = {...}})
//
//   elsewhere, as a number: a later holder's is larger, so who has seen one refuses less.
//
// Thread-safe.
class Lock final {
 public:
  // Waits until it is held. INVALID_ARGUMENT where the name or the ttl is not allowed; NOT_FOUND,
  // DEADLINE_EXCEEDED when the lease was lost meanwhile.
  static absl::StatusOr<std::unique_ptr<Lock>> Acquire(Client client, absl::string_view name,
                                                       const LockOptions& options = {});
  // Releases it; as ~LeaseKeeper.
  ~Lock() = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  // The holder's own key, and its create_revision.
  const std::string& key() const { return key_; }
  int64_t fencing_token() const { return fencing_token_; }
  // Holds in the cluster as long as the lock does.
  Guard StillHeld() const;
  // As LeaseKeeper's.
  absl::Status Check() const { return keeper_->Check(); }
  absl::Status WaitWhileHeld(absl::Duration at_most) const {
    return keeper_->WaitWhileAlive(at_most);
  }
  // Tells others another value. ABORTED when the lock is lost.
  absl::Status Proclaim(absl::string_view value);
  // Gives it up before the destructor does. NOT_FOUND when it was lost.
  absl::Status Release() { return keeper_->Revoke(); }

 private:
  Lock(Client client, std::unique_ptr<LeaseKeeper> keeper, std::string key, int64_t fencing_token);

  Client client_;
  // Constant after construction.
  const std::unique_ptr<LeaseKeeper> keeper_;
  const std::string key_;
  const int64_t fencing_token_;
};

// Who holds a lock or leads after an election: the key's value is what it proclaimed, its
// create_revision the fencing token. nullopt: nobody.
absl::StatusOr<std::optional<KeyValue>> FindHolder(Client client, absl::string_view name);

}  // namespace raftkv
