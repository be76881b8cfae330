// EventLog tells the log what the driver did.
#pragma once

#include <optional>

#include "kv/member_directory.h"
#include "raft/runtime/raft_driver.h"

namespace raftkv::server {

// Confined to the loop.
class EventLog final : public raft::DriverObserver {
 public:
  // Borrows the directory.
  explicit EventLog(const kv::MemberDirectory* directory) : directory_(*directory) {}

  void OnEvent(const raft::Event& event) override;
  void OnLogTrimmed(raft::LogIndex through, raft::LogIndex held_by_all) override;
  void OnSnapshotOutrun(raft::NodeId peer, raft::LogIndex through) override;

 private:
  const kv::MemberDirectory& directory_;
  // Told last: that what is behind this is trimmed although a member may lack it.
  std::optional<raft::LogIndex> told_held_by_all_;
};

}  // namespace raftkv::server
