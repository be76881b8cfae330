// A cluster that harm is done to on purpose: it knows which members are down because somebody
// wanted it, so that a member that ends by itself is noticed.
#pragma once

#include <optional>
#include <vector>

#include "tests/support/test_cluster.h"

namespace raftkv::chaos {

struct ChaosClusterOptions {
  size_t size = 3;
};

// Stopped until started. Whatever goes wrong is a gtest failure. Confined to the main thread, the
// clients of `members` are not.
class ChaosCluster {
 public:
  explicit ChaosCluster(const ChaosClusterOptions& options);

  // Founds the cluster. False with a gtest failure when there is no leader then.
  bool Start();

  integration::TestCluster& members() { return members_; }
  size_t size() const { return members_.size(); }
  std::vector<size_t> all() const;
  // Who leads now, by its own word; nothing when nobody does for some seconds.
  std::optional<size_t> FindLeader();

  // kill -9, all at once.
  void Kill(const std::vector<size_t>& nodes);
  // SIGTERM; it must end well.
  void Stop(size_t node);
  // SIGSTOP and SIGCONT.
  void Freeze(size_t node) { members_.Pause(node); }
  void Thaw(size_t node) { members_.Resume(node); }

  // Starts everybody who is down. False with a gtest failure when somebody is down whom nobody
  // stopped, or does not start.
  bool Recover();

 private:
  integration::TestCluster members_;
  // By node.
  std::vector<bool> stopped_;
};

}  // namespace raftkv::chaos
