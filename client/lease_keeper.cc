#include "client/lease_keeper.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"

namespace raftkv {
namespace {

// Of the ttl: two renewals may fail before it is over.
constexpr int kRenewalsPerTtl = 3;
// Between a renewal that failed and the next.
constexpr absl::Duration kRetryPause = absl::Milliseconds(100);

}  // namespace

absl::StatusOr<std::unique_ptr<LeaseKeeper>> LeaseKeeper::Grant(Client client, absl::Duration ttl) {
  const MonotonicNanos asked_at = SystemMonotonicClock().Now();
  RAFTKV_ASSIGN_OR_RETURN(const GrantLeaseResult granted, client.GrantLease(ttl));
  return std::unique_ptr<LeaseKeeper>(
      new LeaseKeeper(std::move(client), granted.lease.id, granted.lease.ttl, asked_at));
}

LeaseKeeper::LeaseKeeper(Client client, int64_t id, absl::Duration ttl, MonotonicNanos asked_at)
    : client_(std::move(client)),
      id_(id),
      ttl_(ttl),
      alive_until_(asked_at + absl::ToInt64Nanoseconds(ttl)),
      thread_([this] { Run(); }) {}

LeaseKeeper::~LeaseKeeper() {
  const bool alive = End(absl::CancelledError("the lease's keeper is gone"));
  thread_.join();
  if (alive) {
    // It expires otherwise.
    client_.RevokeLease(id_).status().IgnoreError();
  }
}

absl::Status LeaseKeeper::CheckLocked() const {
  if (!ended_.ok()) {
    return ended_;
  }
  if (clock_.Now() >= alive_until_) {
    return absl::DeadlineExceededError(absl::StrCat("lease ", id_, " was not renewed within ",
                                                    absl::FormatDuration(ttl_),
                                                    ": it may have expired"));
  }
  return absl::OkStatus();
}

absl::Status LeaseKeeper::Check() const {
  MutexLock lock(&mutex_);
  return CheckLocked();
}

absl::Status LeaseKeeper::WaitWhileAlive(absl::Duration at_most) const {
  const MonotonicNanos until = clock_.Now() + absl::ToInt64Nanoseconds(at_most);
  MutexLock lock(&mutex_);
  while (true) {
    absl::Status status = CheckLocked();
    const MonotonicNanos now = clock_.Now();
    if (!status.ok() || now >= until) {
      return status;
    }
    changed_.WaitFor(&mutex_, std::min(until, alive_until_) - now);
  }
}

bool LeaseKeeper::End(absl::Status why) {
  MutexLock lock(&mutex_);
  const bool alive = CheckLocked().ok();
  if (ended_.ok()) {
    ended_ = std::move(why);
  }
  changed_.NotifyAll();
  return alive;
}

absl::Status LeaseKeeper::Revoke() {
  End(absl::CancelledError("the lease was revoked"));
  return client_.RevokeLease(id_).status();
}

void LeaseKeeper::Abandon() { End(absl::CancelledError("the lease was abandoned")); }

void LeaseKeeper::Run() {
  absl::Duration pause = ttl_ / kRenewalsPerTtl;
  while (true) {
    MonotonicNanos left = 0;
    {
      MutexLock lock(&mutex_);
      const MonotonicNanos next = clock_.Now() + absl::ToInt64Nanoseconds(pause);
      while (ended_.ok() && clock_.Now() < next) {
        changed_.WaitFor(&mutex_, next - clock_.Now());
      }
      // Once it is not certain that it lives, it is over for its owner, and must not live on.
      if (absl::Status status = CheckLocked(); !status.ok()) {
        ended_ = std::move(status);
        changed_.NotifyAll();
        return;
      }
      left = alive_until_ - clock_.Now();
    }
    const MonotonicNanos asked_at = clock_.Now();
    const absl::StatusOr<RenewLeaseResult> renewed =
        client_.RenewLease(id_, {.timeout = absl::Nanoseconds(left)});
    if (absl::IsNotFound(renewed.status())) {
      End(renewed.status());
      return;
    }
    pause = renewed.ok() ? ttl_ / kRenewalsPerTtl : kRetryPause;
    if (renewed.ok()) {
      MutexLock lock(&mutex_);
      // An answer that came too late revives nothing.
      if (CheckLocked().ok()) {
        alive_until_ = asked_at + absl::ToInt64Nanoseconds(ttl_);
      }
    }
  }
}

}  // namespace raftkv
