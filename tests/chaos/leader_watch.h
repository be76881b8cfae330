// Asks all members all the time whether they lead.
#pragma once

#include <atomic>
#include <thread>

#include "tests/chaos/progress.h"
#include "tests/support/test_cluster.h"

namespace raftkv::chaos {

// Runs from construction to destruction. Thread-safe.
class LeaderWatch {
 public:
  // REQUIRES: the cluster outlives it.
  explicit LeaderWatch(integration::TestCluster* cluster);
  ~LeaderWatch();

  // For how long at most nobody who could be asked said that it leads.
  integration::Millis longest_without_leader() const { return progress_.longest_gap(); }

 private:
  void Run();

  integration::TestCluster* const cluster_;
  Progress progress_;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

}  // namespace raftkv::chaos
