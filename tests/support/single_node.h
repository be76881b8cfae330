// One raftkvd on its own, as `raftkvd` with no flags makes it, but for ports and directory.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/support/rpc.h"
#include "tests/support/server_process.h"
#include "tests/support/temp_dir.h"

namespace raftkv::integration {

// Confined to the test's main thread, the client is not.
class SingleNode {
 public:
  explicit SingleNode(const std::vector<std::string>& flags = {});
  ~SingleNode();

  // Starts, waits for the ready line and until it leads; false with a gtest failure otherwise.
  bool Start();

  ServerProcess& server() { return server_; }
  NodeClient& client() { return *client_; }
  const std::string& data_dir() { return server_.options().data_dir; }
  const TempDir& dir() const { return dir_; }

 private:
  TempDir dir_;
  ServerProcess server_;
  std::unique_ptr<NodeClient> client_;
};

}  // namespace raftkv::integration
