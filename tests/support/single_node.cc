#include "tests/support/single_node.h"

#include <gtest/gtest.h>

#include <iostream>

namespace raftkv::integration {

SingleNode::SingleNode(const std::vector<std::string>& flags)
    : server_(ServerOptions{.name = "",
                            .data_dir = dir_.File("data"),
                            .listen_client = "127.0.0.1:0",
                            .listen_peer = "127.0.0.1:0",
                            .initial_cluster = "",
                            .flags = flags,
                            .env = {}}) {}

SingleNode::~SingleNode() {
  if (testing::Test::HasFailure() && !server_.log_path().empty()) {
    std::cerr << server_.LogTail();
  }
}

bool SingleNode::Start() {
  server_.Start();
  if (!server_.WaitReady()) {
    ADD_FAILURE() << "not ready\n" << server_.LogTail();
    return false;
  }
  client_ = std::make_unique<NodeClient>(server_.client_address());
  const bool leads = WaitUntil(Millis(10000), [&] { return client_->Healthy("raftkv.leader"); });
  EXPECT_TRUE(leads) << "a single node does not lead";
  return leads;
}

}  // namespace raftkv::integration
