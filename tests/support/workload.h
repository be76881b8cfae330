// Clients that write and read without pause while a test does harm to the cluster.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/register_history.h"
#include "tests/support/test_cluster.h"

namespace raftkv::integration {

struct WorkloadOptions {
  size_t writers = 4;
  size_t readers = 3;
  size_t keys_per_writer = 4;
  // A client waits this long between two calls, so that two cores carry the cluster and its
  // clients.
  Millis pause = Millis(4);
  Millis call_timeout = Millis(10000);
};

// Each writer writes its own registers in turn and, with every other call, a key that nobody writes
// again. Each call goes to the next member. Runs from construction to Finish. Confined to one
// thread.
class Workload {
 public:
  // REQUIRES: the cluster outlives it.
  explicit Workload(TestCluster* cluster, const WorkloadOptions& options = {});
  ~Workload();

  // Stops the clients and waits for their last calls.
  void Finish();
  // Reads everything from every member, linearizably, and fails the test for each thing that is
  // wrong. REQUIRES: finished, and every member is up.
  void Verify();

  RegisterHistory& history() { return history_; }
  // Calls that succeeded so far; a nemesis waits for it to grow.
  uint64_t successes() const { return successes_.load(); }
  // Waits until `more` calls have succeeded from now on; a gtest failure otherwise.
  void WaitForSuccesses(uint64_t more, Millis timeout = Millis(20000));

 private:
  struct SingleWrites {
    std::map<std::string, std::string> acknowledged;
    std::map<std::string, std::string> refused;
  };

  void Write(size_t writer);
  void Read(size_t reader);
  void WriteRegister(size_t writer, uint64_t step, NodeClient* client);
  void WriteOnce(size_t writer, uint64_t step, NodeClient* client);
  std::string RegisterKey(size_t writer, uint64_t step) const;
  void VerifySingleWrites(NodeClient* client);

  TestCluster* const cluster_;
  const WorkloadOptions options_;
  RegisterHistory history_;
  // Each writer's own until its thread has ended.
  std::vector<SingleWrites> single_writes_;
  std::atomic<uint64_t> successes_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace raftkv::integration
