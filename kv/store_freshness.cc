// How reads of the store come to be as fresh as they ask to be.
#include <glog/logging.h>

#include <memory>
#include <utility>

#include "base/deadline.h"
#include "kv/errors.h"
#include "kv/store.h"

namespace raftkv::kv {
namespace {

absl::Status FreshnessError(raft::ReadResult result) {
  switch (result) {
    case raft::ReadResult::kReady:
      return absl::OkStatus();
    case raft::ReadResult::kNoLeader:
      return NoLeaderError();
    case raft::ReadResult::kBehind:
      return BehindError();
    case raft::ReadResult::kOverloaded:
      return OverloadedError();
    case raft::ReadResult::kShuttingDown:
      return ShuttingDownError();
  }
  LOG(FATAL) << "read result " << static_cast<int>(result);
}

}  // namespace

void Store::AwaitFreshness(const ReadFreshness& freshness, std::function<void(absl::Status)> done) {
  AwaitState(freshness,
             [done = std::move(done)](const absl::StatusOr<std::optional<MonotonicNanos>>& age) {
               done(age.status());
             });
}

void Store::AwaitState(const ReadFreshness& freshness, Fresh done) {
  CHECK(!freshness.linearizable || !freshness.age_max.has_value());
  if (draining_) {
    done(ShuttingDownError());
    return;
  }
  if (freshness.linearizable) {
    AwaitIndex(freshness.deadline,
               [this, freshness, done = std::move(done)](raft::ReadResult result) mutable {
                 if (result != raft::ReadResult::kReady) {
                   done(FreshnessError(result));
                   return;
                 }
                 AwaitRevision(freshness, [done = std::move(done)](const absl::Status& reached) {
                   if (reached.ok()) {
                     done(std::optional<MonotonicNanos>());
                   } else {
                     done(reached);
                   }
                 });
               });
    return;
  }
  AwaitRevision(freshness,
                [this, freshness, done = std::move(done)](const absl::Status& reached) mutable {
                  if (!reached.ok()) {
                    done(reached);
                  } else if (freshness.age_max.has_value()) {
                    AwaitAge(freshness, std::move(done));
                  } else {
                    done(age_.At(clock_.Now()));
                  }
                });
}

void Store::AwaitAge(const ReadFreshness& freshness, Fresh done) {
  const std::optional<MonotonicNanos> age = age_.At(clock_.Now());
  if (age.has_value() && *age <= *freshness.age_max) {
    done(age);
    return;
  }
  AwaitIndex(freshness.deadline, [this, age_max = *freshness.age_max,
                                  done = std::move(done)](raft::ReadResult result) {
    if (result == raft::ReadResult::kReady) {
      done(std::optional<MonotonicNanos>());
    } else if (result == raft::ReadResult::kNoLeader || result == raft::ReadResult::kBehind) {
      done(TooOldError(age_.At(clock_.Now()), age_max));
    } else {
      done(FreshnessError(result));
    }
  });
}

void Store::AwaitIndex(MonotonicNanos deadline, std::function<void(raft::ReadResult result)> done) {
  driver_.Read(deadline,
               [this, asked = clock_.Now(), done = std::move(done)](raft::ReadResult result) {
                 if (result == raft::ReadResult::kReady) {
                   age_.OnReady(asked);
                 }
                 done(result);
               });
}

void Store::CheckAge() {
  const MonotonicNanos now = clock_.Now();
  const std::optional<MonotonicNanos> age = age_.At(now);
  const bool is_known = age.has_value() && *age < kAgeCheckInterval;
  if (draining_ || checks_age_ || is_known || now < age_checked_at_ + kAgeCheckInterval ||
      driver_.Status().leader == raft::kNobody) {
    return;
  }
  age_checked_at_ = now;
  checks_age_ = true;
  AwaitIndex(DeadlineAfter(now, kAgeCheckInterval),
             [this](raft::ReadResult /*result*/) { checks_age_ = false; });
}

Store::ReadPoint Store::PointNow(std::optional<MonotonicNanos> age) const {
  return {
      .revision = state_machine_.revision(), .applied = state_machine_.applied().index, .age = age};
}

void Store::AwaitRevision(const ReadFreshness& freshness, std::function<void(absl::Status)> done) {
  if (freshness.min_revision <= state_machine_.revision()) {
    done(absl::OkStatus());
    return;
  }
  // A waiter that is not taken is left as it is.
  RevisionWaiters::Waiter waiter{
      .awaited = freshness.min_revision, .deadline = freshness.deadline, .done = std::move(done)};
  if (!revision_waiters_.Add(&waiter)) {
    waiter.done(OverloadedError());
  }
}

}  // namespace raftkv::kv
