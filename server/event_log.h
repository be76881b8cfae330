// EventLog tells the log what the driver did.
#pragma once

#include "kv/member_directory.h"
#include "raft/runtime/raft_driver.h"

namespace raftkv::server {

// Confined to the loop.
class EventLog final : public raft::DriverObserver {
 public:
  // Borrows the directory.
  explicit EventLog(const kv::MemberDirectory* directory) : directory_(*directory) {}

  void OnEvent(const raft::Event& event) override;

 private:
  const kv::MemberDirectory& directory_;
};

}  // namespace raftkv::server
