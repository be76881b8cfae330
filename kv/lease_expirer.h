// The LeaseExpirer proposes the end of leases whose time is over. Only a leader's does anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>

#include "base/clock.h"
#include "kv/kv_state_machine.h"
#include "kv/lease.h"
#include "raft/runtime/raft_driver.h"

namespace raftkv::kv {

// It ends nothing itself: applying decides, by the entry's own stamp and term, so what a deposed
// leader proposed does no harm. Confined to the loop's thread.
class LeaseExpirer {
 public:
  // Borrows everything; no callback of the driver may come after its end.
  LeaseExpirer(raft::RaftDriver* driver, const KvStateMachine* state_machine,
               const MonotonicClock* clock);

  // Called every tick (10 ms): ten times a second it looks for leases that are over, when this
  // member leads and has committed in its term.
  void Tick();

 private:
  void Propose(const Lease& lease);
  void OnProposalDone(const Lease& lease, raft::ProposalResult result);

  raft::RaftDriver* const driver_;
  const KvStateMachine* const state_machine_;
  const MonotonicClock* const clock_;

  // Whose end is on its way, and the keys that hang on them.
  std::set<int64_t> proposed_;
  uint64_t proposed_keys_ = 0;
  MonotonicNanos next_look_ = 0;
};

}  // namespace raftkv::kv
