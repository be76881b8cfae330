// The Expirer proposes the removal of keys whose time has come. Only a leader's does anything.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "kv/kv_state_machine.h"
#include "raft/runtime/raft_driver.h"

namespace raftkv::kv {

// Scans off the loop for keys that are due and brings Expire commands into the log, few at a time.
// It removes nothing itself: applying decides, by the entry's own stamp.
// Confined to the loop's thread.
class Expirer {
 public:
  // Runs FindDueKeys(now, kKeysMax) of a view on another thread, then calls `done` on the loop,
  // also when it failed.
  using Scan = std::function<void(std::shared_ptr<const KvView> view, raft::ClusterMillis now,
                                  std::function<void(absl::StatusOr<DueKeys>)> done)>;

  // Borrows everything; no callback of the driver or of a scan may come after its end.
  Expirer(raft::RaftDriver* driver, KvStateMachine* state_machine, const MonotonicClock* clock,
          Scan scan);

  // Called every tick (10 ms): starts a scan when this member leads, has committed in its term, and
  // a key may be due; goes on with what one found.
  void Tick();

  // Most keys that a scan should find. They are removed by several commands.
  static constexpr uint64_t kKeysMax = 32'000;

 private:
  bool Leads() const;
  // Scans when a key may be due.
  void MaybeScan();
  void OnScanDone(raft::LogIndex applied, absl::StatusOr<DueKeys> due);
  // Proposes the removal of the next keys of due_ if there is room; gives up when this member leads
  // no more.
  void ProposeNext();
  void Propose();
  void OnProposalDone(raft::ProposalResult result);
  // Drops what was found; a tick from not_before_ on begins anew.
  void GiveUp();

  raft::RaftDriver* const driver_;
  KvStateMachine* const state_machine_;
  const MonotonicClock* const clock_;
  const Scan scan_;

  // A scan or a proposal is under way: its callback goes on.
  bool busy_ = false;
  int proposals_ = 0;
  // What the last scan found due; proposed up to next_due_.
  std::vector<DueKeys::Due> due_;
  size_t next_due_ = 0;
  // The first deadline that the scan left out; 0 when there is none.
  raft::ClusterMillis next_deadline_;
  // No scan before this, after a scan or a proposal that failed.
  MonotonicNanos not_before_ = 0;
};

}  // namespace raftkv::kv
