// Clients that write and read without pause while a test does harm to the cluster.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/linearizability/history.h"
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
// again. Each call goes to the next member, and is recorded. Runs from construction to Finish.
class Workload {
 public:
  // REQUIRES: the cluster outlives it.
  explicit Workload(TestCluster* cluster, const WorkloadOptions& options = {});
  ~Workload();

  // Stops the clients and waits for their last calls.
  void Finish();
  // Reads everything from every member, linearizably. Fails the test when no linearizable store can
  // have answered so, or when a write happened twice. REQUIRES: finished, and every member is up.
  void Verify();

  // Calls of the test's own, whose answers belong to the history; each returns whether it
  // succeeded. Thread-safe. REQUIRES for Put: no writer of the workload writes `key`.
  bool Put(const std::string& key, NodeClient* node, Millis timeout = kCallTimeout);
  bool Get(const std::string& key, NodeClient* node, Millis timeout = kCallTimeout);

  // Calls that succeeded so far; a nemesis waits for it to grow.
  uint64_t successes() const { return successes_.load(); }
  // Waits until `more` calls have succeeded from now on; a gtest failure otherwise.
  void WaitForSuccesses(uint64_t more, Millis timeout = Millis(20000));

 private:
  // The puts of a key that may have happened.
  struct Writes {
    int64_t acknowledged = 0;
    int64_t unknown = 0;
  };

  void Write(size_t writer);
  void Read(size_t reader);
  std::string RegisterKey(size_t writer, uint64_t step) const;
  bool Call(linearizability::Operation operation, NodeClient* node, Millis timeout);
  // Records what a list of everything shows of each of these keys.
  void ReadEverything(NodeClient* node, const std::map<std::string, Writes>& writes);

  TestCluster* const cluster_;
  const WorkloadOptions options_;
  linearizability::HistoryRecorder recorder_;
  std::atomic<uint64_t> next_value_{0};
  std::atomic<uint64_t> successes_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> threads_;
};

}  // namespace raftkv::integration
