// EventLog tells the log what the driver did.
#pragma once

#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "kv/member_directory.h"
#include "raft/runtime/raft_driver.h"

namespace raftkv::server {

// Confined to the loop.
class EventLog final : public raft::DriverObserver {
 public:
  // Hears of OnStateDiffers; is to end the process.
  using OnStateDiffersCallback = std::function<void(const raft::StateDifference& difference)>;

  // Borrows the directory.
  EventLog(const kv::MemberDirectory* directory, OnStateDiffersCallback on_state_differs)
      : directory_(*directory), on_state_differs_(std::move(on_state_differs)) {}

  void OnEvent(const raft::Event& event) override;
  void OnLogTrimmed(raft::LogIndex through, raft::LogIndex held_by_all) override;
  void OnSnapshotOutrun(raft::NodeId peer, raft::LogIndex through) override;
  void OnStateDiffers(const raft::StateDifference& difference) override;
  void OnMemberDiffers(raft::NodeId member, const raft::StateDifference& difference) override;
  void OnStatesDisagree(raft::LogIndex index) override;
  void OnLowOnDisk(const std::vector<raft::NodeId>& members) override;

 private:
  const kv::MemberDirectory& directory_;
  const OnStateDiffersCallback on_state_differs_;
  // Told last: that what is behind this is trimmed although a member may lack it.
  std::optional<raft::LogIndex> told_held_by_all_;
};

}  // namespace raftkv::server
