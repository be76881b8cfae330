#include "server/peer/quorum_watch.h"

#include <glog/logging.h>

#include "absl/strings/str_cat.h"

namespace raftkv::server {
namespace {

// An election may take some tries.
constexpr MonotonicNanos kFirstWarningAfter = 5 * kNanosPerSecond;
constexpr MonotonicNanos kWarningInterval = 30 * kNanosPerSecond;

}  // namespace

void QuorumWatch::Tick() {
  if (context_->driver->core().leader() != raft::kNobody) {
    no_leader_since_ = 0;
    return;
  }
  const MonotonicNanos now = context_->clock->Now();
  if (no_leader_since_ == 0) {
    no_leader_since_ = now;
    next_warning_ = now + kFirstWarningAfter;
  }
  if (now >= next_warning_) {
    next_warning_ = now + kWarningInterval;
    LOG(WARNING) << Warning();
  }
}

std::string QuorumWatch::Warning() const {
  if (context_->driver->core().leader() != raft::kNobody) {
    return "";
  }
  const MonotonicNanos silent =
      no_leader_since_ == 0 ? 0 : context_->clock->Now() - no_leader_since_;
  const std::string unreachable = transport_->UnreachableText();
  return absl::StrCat("no leader is known for ", silent / kNanosPerSecond,
                      " s: a majority of the members may be down or cut off; ",
                      unreachable.empty() ? "every other member can be reached"
                                          : absl::StrCat("this member cannot reach ", unreachable));
}

}  // namespace raftkv::server
