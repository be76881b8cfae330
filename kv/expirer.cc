#include "kv/expirer.h"

#include <algorithm>
#include <utility>

#include "glog/logging.h"
#include "raft/core/raft_core.h"

namespace raftkv::kv {
namespace {

// One command, and so what applying it costs a turn of the loop: a few milliseconds.
constexpr size_t kCommandKeysMax = 400;
// While one is applied, the next is on its way through the log.
constexpr int kProposalsMax = 2;
// Nobody waits for an Expire, so it may take as long as an election.
constexpr MonotonicNanos kProposalTimeout = 5 * kNanosPerSecond;
constexpr MonotonicNanos kRetryDelay = kNanosPerSecond / 10;

}  // namespace

Expirer::Expirer(raft::RaftDriver* driver, KvStateMachine* state_machine,
                 const MonotonicClock* clock, Scan scan)
    : driver_(driver), state_machine_(state_machine), clock_(clock), scan_(std::move(scan)) {}

void Expirer::Tick() {
  if (!busy_) {
    MaybeScan();
  } else if (proposals_ > 0) {
    // Not together with the other, or both would be in one entry, time after time.
    ProposeNext();
  }
}

bool Expirer::Leads() const {
  const raft::RaftCore& core = driver_->core();
  return core.role() == raft::RaftRole::kLeader && core.has_committed_in_term();
}

void Expirer::MaybeScan() {
  const raft::ClusterMillis earliest = state_machine_->earliest_deadline();
  if (earliest.value() == 0 || !Leads()) {
    return;
  }
  const raft::ClusterMillis now = driver_->Now();
  if (earliest > now || clock_->Now() < not_before_) {
    return;
  }
  busy_ = true;
  const raft::LogIndex applied = state_machine_->applied().index;
  scan_(state_machine_->TakeView(), now,
        [this, applied](absl::StatusOr<DueKeys> due) { OnScanDone(applied, std::move(due)); });
}

void Expirer::OnScanDone(raft::LogIndex applied, absl::StatusOr<DueKeys> due) {
  CHECK(busy_);
  if (!due.ok()) {
    LOG(ERROR) << "cannot look for keys that have expired: " << due.status().message();
    not_before_ = clock_->Now() + kRetryDelay;
    GiveUp();
    return;
  }
  if (due->keys.empty()) {
    state_machine_->OnScanned(applied, due->next_deadline);
    busy_ = false;
    return;
  }
  next_deadline_ = due->next_deadline;
  due_ = std::move(due->keys);
  next_due_ = 0;
  ProposeNext();
}

void Expirer::ProposeNext() {
  if (!Leads()) {
    GiveUp();
  }
  if (next_due_ < due_.size() && proposals_ < kProposalsMax) {
    Propose();
  }
  busy_ = proposals_ > 0;
}

void Expirer::Propose() {
  log::v1::Command command;
  log::v1::Expire* expire = command.mutable_expire();
  DueKeys::Due& first = due_[next_due_];
  const size_t keys = std::min(kCommandKeysMax, due_.size() - next_due_);
  expire->set_start_deadline_ms(first.deadline.value());
  expire->set_start_key(std::move(first.key));
  expire->set_keys_max(keys);
  next_due_ += keys;
  ++proposals_;
  driver_->Propose(command.SerializeAsString(), clock_->Now() + kProposalTimeout,
                   [this](raft::ProposalResult result, std::string) { OnProposalDone(result); });
}

void Expirer::OnProposalDone(raft::ProposalResult result) {
  CHECK_GT(proposals_, 0);
  --proposals_;
  if (result != raft::ProposalResult::kApplied) {
    not_before_ = clock_->Now() + kRetryDelay;
    GiveUp();
  }
  ProposeNext();
  // Thousands of keys may be due at once: go on without waiting for a tick.
  if (!busy_ && next_deadline_.value() != 0 && next_deadline_ <= driver_->Now()) {
    MaybeScan();
  }
}

void Expirer::GiveUp() {
  due_.clear();
  next_due_ = 0;
  next_deadline_ = raft::ClusterMillis(0);
  busy_ = proposals_ > 0;
}

}  // namespace raftkv::kv
