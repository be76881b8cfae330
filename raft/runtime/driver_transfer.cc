// RaftDriver's part of handing leadership over (thesis §3.10).
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/deadline.h"
#include "raft/runtime/raft_driver.h"

namespace raftkv::raft {
namespace {

// Each is a call of somebody who waits.
constexpr size_t kTransfersWaitingMax = 64;

}  // namespace

void RaftDriver::TransferLeadership(NodeId target, TransferCallback done) {
  if (shut_down_) {
    done(absl::UnavailableError("this node is stopping"));
    return;
  }
  if (transfers_waiting_.size() >= kTransfersWaitingMax) {
    done(absl::ResourceExhaustedError(absl::StrCat("already ", transfers_waiting_.size(),
                                                   " wait for leadership to change hands")));
    return;
  }
  const absl::Status begun = core_->TransferLeadership(target);
  if (!begun.ok() || core_->handing_over_to() == kNobody) {
    done(begun);
    return;
  }
  if (transfers_waiting_.empty()) {
    transfer_deadline_ = DeadlineAfter(clock_->Now(), options_.leader_wait);
  }
  transfers_waiting_.push_back(std::move(done));
}

void RaftDriver::MaybeFinishTransfers(MonotonicNanos now) {
  if (transfers_waiting_.empty() || core_->handing_over_to() != kNobody) {
    return;
  }
  if (core_->role() == RaftRole::kLeader) {
    FinishTransfers(absl::AbortedError(absl::StrCat("node ", core_->self().value(), " leads term ",
                                                    core_->term().value(),
                                                    ": the other did not take over in time")));
  } else if (core_->leader() != kNobody) {
    FinishTransfers(absl::OkStatus());
  } else if (now >= transfer_deadline_) {
    FinishTransfers(absl::UnavailableError("nobody is known to lead"));
  }
}

void RaftDriver::FinishTransfers(const absl::Status& status) {
  for (const TransferCallback& done : std::exchange(transfers_waiting_, {})) {
    done(status);
  }
}

}  // namespace raftkv::raft
