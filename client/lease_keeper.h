// LeaseKeeper keeps one lease alive as long as it lives itself.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/client.h"

namespace raftkv {

// A thread renews the lease each time a third of its ttl has passed. The lease is alive until its
// ttl has passed since the last renewal that succeeded was asked for, by this machine's monotonic
// clock: the cluster ends it no sooner. A process that stands still meanwhile (a stopped virtual
// machine) sees that it is over only when it looks, so what must not be done without the lease is
// guarded in the cluster: see Lock::StillHeld (client/recipes.h).
//
// Thread-safe.
class LeaseKeeper final {
 public:
  // Grants a lease of `ttl`, at least 1 s, and begins to renew it.
  static absl::StatusOr<std::unique_ptr<LeaseKeeper>> Grant(Client client, absl::Duration ttl);
  // Stops renewing, and revokes the lease unless Abandon or Revoke was called or it is lost; waits
  // for that at most ClientOptions::request_timeout.
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

  int64_t id() const { return id_; }
  // OK while the lease certainly lives. Otherwise why not: NOT_FOUND when it has ended,
  // DEADLINE_EXCEEDED when no renewal succeeded in time, CANCELLED after Revoke or Abandon. It does
  // not come back.
  absl::Status Check() const;
  // Waits until Check fails, at most so long. Returns what Check does then.
  absl::Status WaitWhileAlive(absl::Duration at_most) const;
  // Ends the lease, with its keys. LEASE_NOT_FOUND when that is so already.
  absl::Status Revoke();
  // Stops renewing and leaves the lease to expire.
  void Abandon();

 private:
  LeaseKeeper(Client client, int64_t id, absl::Duration ttl, MonotonicNanos asked_at);
  void Run();
  // Ends it for `why`, unless it has ended; false then.
  bool End(absl::Status why);
  absl::Status CheckLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Client client_;
  // Constant after construction.
  const int64_t id_;
  const absl::Duration ttl_;
  const SystemMonotonicClock clock_;

  mutable Mutex mutex_;
  mutable CondVar changed_;
  absl::Status ended_ ABSL_GUARDED_BY(mutex_);  // OK while it lives.
  MonotonicNanos alive_until_ ABSL_GUARDED_BY(mutex_);

  std::thread thread_;
};

}  // namespace raftkv
