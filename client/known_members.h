// The members that a client may turn to: the endpoints that it was given, and behind them the other
// members of the cluster, as one of them named them last.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "client/stub.h"
#include "raftkv/v1/cluster.pb.h"

namespace raftkv::client {

// The list, who of it is turned to first, and when somebody is to be asked for it again. It makes
// no calls: RetryingConnection asks, and tells it what came. Thread-safe.
//
// A learned endpoint is trusted once it has shown, by its own list of members, that it is of the
// cluster: what a member publishes may lead elsewhere from where the client is. One that cannot be
// reached is forgotten until it is named again, so it costs calls one try.
class KnownMembers {
 public:
  struct Endpoint {
    std::string address;
    std::shared_ptr<Stub> stub;
    bool is_given = true;
  };
  // As of a moment, so that a call goes round one list. Never empty.
  using List = std::shared_ptr<const std::vector<Endpoint>>;

  // Longest time that asking for the members may take.
  static constexpr absl::Duration kAskTimeout = absl::Milliseconds(500);
  // How soon they are asked for again: once all that were named have an address, otherwise, and
  // after an endpoint has failed.
  static constexpr absl::Duration kAskAgainWhenAllKnown = absl::Seconds(60);
  static constexpr absl::Duration kAskAgain = absl::Seconds(10);
  static constexpr absl::Duration kAskAgainAfterFailure = absl::Seconds(1);
  // Besides the given ones; more than a cluster has.
  static constexpr size_t kLearnedMax = 64;

  // `given` is not empty. Others are only learned when `learns`.
  KnownMembers(const std::vector<std::string>& given, bool learns, StubFactory make_stub);

  List list() const;
  const List& given() const { return given_; }
  // Whom to turn to first, as a place in `list`.
  size_t Preferred(const List& list) const;
  // Later calls start there; it has answered.
  void Prefer(const List& list, size_t place);
  // Later calls start elsewhere, unless another call has already seen to that. If it was learned,
  // it has to show again that it is of the cluster.
  void TurnAwayFrom(const List& list, size_t place);

  // Whether Prefer was called.
  bool has_answered() const;
  // Given, or shown to be of the cluster.
  bool IsTrusted(const Endpoint& endpoint) const;
  // Whether it is time to ask somebody for the members. Then the caller does so, and nobody else
  // for a while.
  bool TakeAsking(MonotonicNanos now);
  // `asked`, which is of the cluster, answered so. The members that published an address are those
  // that are known from now on.
  void Learn(const Endpoint& asked, const v1::ListMembersResponse& members, MonotonicNanos now);
  // It cannot be used. A given one stays all the same.
  void Forget(const Endpoint& endpoint);

 private:
  size_t PreferredLocked(const List& list) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // Constant after construction.
  const bool learns_;
  const StubFactory make_stub_;
  const List given_;

  mutable Mutex mutex_;
  List list_ ABSL_GUARDED_BY(mutex_);                      // Begins with the given ones.
  std::string preferred_ ABSL_GUARDED_BY(mutex_);          // Its address.
  std::set<std::string> trusted_ ABSL_GUARDED_BY(mutex_);  // Learned ones.
  std::set<uint64_t> given_ids_ ABSL_GUARDED_BY(mutex_);   // Members that were met at given ones.
  bool has_answered_ ABSL_GUARDED_BY(mutex_) = false;
  MonotonicNanos last_asking_ ABSL_GUARDED_BY(mutex_) = 0;
  MonotonicNanos next_asking_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace raftkv::client
