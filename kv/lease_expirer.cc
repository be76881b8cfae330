#include "kv/lease_expirer.h"

#include "glog/logging.h"
#include "kv/limits.h"
#include "raft/core/raft_core.h"
#include "raftkv/log/v1/command.pb.h"

namespace raftkv::kv {
namespace {

// A tenth of a second is little beside the shortest lease, and each look costs a walk over those
// that are due.
constexpr MonotonicNanos kLookInterval = kNanosPerSecond / 10;
// Leases whose end is on its way, and their keys: what may come to be applied in one turn of the
// loop. One lease may have as many keys as that.
constexpr size_t kProposalsMax = 64;
constexpr uint64_t kProposedKeysMax = kLeaseKeysMax;
// Nobody waits for it, so it may take as long as an election.
constexpr MonotonicNanos kProposalTimeout = 5 * kNanosPerSecond;

}  // namespace

LeaseExpirer::LeaseExpirer(raft::RaftDriver* driver, const KvStateMachine* state_machine,
                           const MonotonicClock* clock)
    : driver_(driver), state_machine_(state_machine), clock_(clock) {}

void LeaseExpirer::Tick() {
  const MonotonicNanos now = clock_->Now();
  const raft::RaftCore& core = driver_->core();
  if (now < next_look_ || state_machine_->leases().leases().empty() ||
      core.role() != raft::RaftRole::kLeader || !core.has_committed_in_term()) {
    return;
  }
  next_look_ = now + kLookInterval;
  // Those that are proposed already come first among what is found.
  for (const Lease& lease : state_machine_->leases().FindDue(
           driver_->Now(), state_machine_->lease_totals().term_began, kProposalsMax)) {
    if (proposed_.contains(lease.id)) {
      continue;
    }
    if (!proposed_.empty() &&
        (proposed_.size() >= kProposalsMax || proposed_keys_ + lease.keys > kProposedKeysMax)) {
      return;
    }
    Propose(lease);
  }
}

void LeaseExpirer::Propose(const Lease& lease) {
  log::v1::Command command;
  command.mutable_expire_lease()->set_id(lease.id);
  proposed_.insert(lease.id);
  proposed_keys_ += lease.keys;
  driver_->Propose(command.SerializeAsString(), clock_->Now() + kProposalTimeout,
                   [this, lease](raft::ProposalResult result, const std::string&) {
                     OnProposalDone(lease, result);
                   });
}

void LeaseExpirer::OnProposalDone(const Lease& lease, raft::ProposalResult result) {
  CHECK_EQ(proposed_.erase(lease.id), 1u);
  proposed_keys_ -= lease.keys;
  if (result == raft::ProposalResult::kApplied) {
    // Others may have waited for their turn.
    next_look_ = 0;
  }
}

}  // namespace raftkv::kv
