// What a member sees to by itself: that the replicated state says what it should, by a proposal as
// often as it does not.
#pragma once

#include <functional>
#include <optional>

#include "base/clock.h"
#include "kv/member_directory.h"
#include "kv/store.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {

// Confined to the loop.
class StandingProposal final {
 public:
  // What would bring the state to say what it should; nullopt when it does.
  using Missing = std::function<std::optional<log::v1::Command>()>;

  // `missing` is asked five times a second, with the state caught up. Borrows the rest; no callback
  // of the store may come after its end. A proposal is given up after `timeout`.
  StandingProposal(Missing missing, Store* store, const MonotonicClock* clock,
                   MonotonicNanos timeout)
      : missing_(std::move(missing)), store_(*store), clock_(*clock), timeout_(timeout) {}

  // Called every tick once the cluster is founded.
  void Tick();

 private:
  const Missing missing_;
  Store& store_;
  const MonotonicClock& clock_;
  const MonotonicNanos timeout_;
  MonotonicNanos next_look_ = 0;
  bool under_way_ = false;
};

// Where this member is reached, which version it runs, and its priority.
std::optional<log::v1::Command> UnpublishedRecord(const MemberDirectory& directory);

// The cluster version that the members' records allow. For the leader alone: one is enough.
std::optional<log::v1::Command> DueVersionRaise(const MemberDirectory& directory,
                                                const Store& store);

}  // namespace raftkv::kv
