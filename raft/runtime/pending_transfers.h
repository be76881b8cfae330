// Who waits for this member, as the leader, to hand leadership over (thesis §3.10).
#pragma once

#include <vector>

#include "base/clock.h"
#include "raft/core/raft_core.h"
#include "raft/core/types.h"
#include "raft/runtime/requests.h"

namespace raftkv::raft {

// All who wait wait for the same handover: the core has one at a time. Confined to the loop's
// thread.
class PendingTransfers {
 public:
  bool empty() const { return waiting_.empty(); }
  // Begins a handover, or joins the one to the same target, and lets `done` wait for its end, for
  // at most `wait`; refuses at once with what the core says, or ResourceExhausted when too many
  // wait.
  void Add(RaftCore* core, NodeId target, MonotonicNanos now, MonotonicNanos wait,
           TransferCallback done);
  // Tells all when it has ended. OK: another member is known to lead. Aborted: this one goes on
  // leading. Unavailable: nobody is known to lead, and they have waited long enough.
  void MaybeFinish(const RaftCore& core, MonotonicNanos now);
  // Tells all Unavailable.
  void Shutdown();

 private:
  void FinishAll(const absl::Status& status);

  std::vector<TransferCallback> waiting_;
  // Of the handover that they wait for.
  NodeId target_ = kNobody;
  MonotonicNanos deadline_ = 0;
};

}  // namespace raftkv::raft
