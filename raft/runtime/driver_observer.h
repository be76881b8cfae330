// What a RaftDriver tells about itself besides answers.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "raft/core/output.h"
#include "raft/core/types.h"
#include "raft/runtime/requests.h"
#include "raft/runtime/state_audit.h"

namespace raftkv::raft {

// Called inside calls of the driver; none may end the driver.
class DriverObserver {
 public:
  virtual ~DriverObserver() = default;
  virtual void OnEvent(const Event& event) = 0;
  // This leader put so many commands, of so many bytes, into one entry.
  virtual void OnEntryProposed(uint64_t /*commands*/, uint64_t /*bytes*/) {}
  // So many entries were applied at once; the state machine took so long.
  virtual void OnApplied(uint64_t /*entries*/, MonotonicNanos /*took*/) {}
  // A request of this member's clients gets its answer.
  virtual void OnProposalAnswered(ProposalResult /*result*/) {}
  virtual void OnReadAnswered(ReadResult /*result*/) {}
  // A snapshot to `peer` ended, as RaftDriver::OnSnapshotSent's status says.
  virtual void OnSnapshotSent(NodeId /*peer*/, const absl::Status& /*status*/) {}
  // The core, which leads, is asked for a read index, and answers. For tests.
  virtual void OnReadAsked(ReadId /*id*/, NodeId /*asker*/) {}
  virtual void OnReadOutcome(const ReadOutcome& /*outcome*/) {}
  // The log is trimmed up to `through`; up to `held_by_all` (0: not known) every member holds it.
  virtual void OnLogTrimmed(LogIndex /*through*/, LogIndex /*held_by_all*/) {}
  // The log took so much while a snapshot was under way to `peer` that it is trimmed up to
  // `through`, beyond the snapshot: that one is given up, and a newer one follows.
  virtual void OnSnapshotOutrun(NodeId /*peer*/, LogIndex /*through*/) {}
  // RaftStatus::low_on_disk is another one than it was.
  virtual void OnLowOnDisk(const std::vector<NodeId>& /*members*/) {}
  // This member's state is wrong: from now on the driver does nothing but answer in Shutdown. Once.
  virtual void OnStateDiffers(const StateDifference& /*difference*/) {}
  // This leader found that of `member`, and tells it.
  virtual void OnMemberDiffers(NodeId /*member*/, const StateDifference& /*difference*/) {}
  // This leader found that the states after the entry at `index` differ, and that no quorum of the
  // voters has the same, so that nobody knows who is right. Once until they agree,
  // or the configuration changes.
  virtual void OnStatesDisagree(LogIndex /*index*/) {}
};

}  // namespace raftkv::raft
