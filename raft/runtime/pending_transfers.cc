#include "raft/runtime/pending_transfers.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"

namespace raftkv::raft {
namespace {

// Each is a call of somebody who waits.
constexpr size_t kWaitingMax = 64;

}  // namespace

void PendingTransfers::Add(RaftCore* core, NodeId target, MonotonicNanos now, MonotonicNanos wait,
                           TransferCallback done) {
  if (waiting_.size() >= kWaitingMax) {
    done(absl::ResourceExhaustedError(
        absl::StrCat("already ", waiting_.size(), " wait for leadership to change hands")));
    return;
  }
  const absl::Status begun = core->TransferLeadership(target);
  if (!begun.ok() || core->handing_over_to() == kNobody) {
    done(begun);
    return;
  }
  if (waiting_.empty()) {
    target_ = core->handing_over_to();
    deadline_ = DeadlineAfter(now, wait);
  }
  waiting_.push_back(std::move(done));
}

void PendingTransfers::MaybeFinish(const RaftCore& core, MonotonicNanos now) {
  if (waiting_.empty() || core.handing_over_to() != kNobody) {
    return;
  }
  if (core.role() == RaftRole::kLeader) {
    FinishAll(absl::AbortedError(absl::StrCat("node ", target_.value(),
                                              " did not take over in time: node ",
                                              core.self().value(), " goes on leading")));
  } else if (core.leader() != kNobody) {
    FinishAll(absl::OkStatus());
  } else if (now >= deadline_) {
    FinishAll(absl::UnavailableError("nobody is known to lead"));
  }
}

void PendingTransfers::Shutdown() { FinishAll(absl::UnavailableError("this node is stopping")); }

void PendingTransfers::FinishAll(const absl::Status& status) {
  for (const TransferCallback& done : std::exchange(waiting_, {})) {
    done(status);
  }
}

}  // namespace raftkv::raft
