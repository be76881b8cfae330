// Clients that write, read and delete a few keys without pause, and note everything that they asked
// and were told: the history that a chaos run is judged by.
//
// Keys, whose names change every 20 seconds so that the histories of single keys stay short:
//   r/<epoch>/<i>     registers: put with and without a precondition, read, deleted
//   t/<epoch>/<i>     the same with a ttl
//   o/<client>/<n>    written once, by one client
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "tests/chaos/progress.h"
#include "tests/linearizability/history.h"
#include "tests/simulation/dice.h"
#include "tests/support/test_cluster.h"

namespace raftkv::chaos {

struct ClientOptions {
  size_t count = 8;
  uint64_t seed = 1;
  // A client waits this long between two calls, so that two cores carry the cluster as well.
  integration::Millis pause = integration::Millis(10);
  // Whether some keys get a ttl.
  bool ttl_keys = true;
  // For tests of the checks: some writes are noted as acknowledged that were never sent.
  bool lie = false;
};

// Runs from construction to Finish. Confined to one thread.
class Clients {
 public:
  // Operations by how they ended.
  struct Counts {
    uint64_t ok = 0;
    uint64_t precondition_failed = 0;
    uint64_t failed = 0;
    uint64_t unknown = 0;

    uint64_t total() const { return ok + precondition_failed + failed + unknown; }
  };
  using OnceWrites = std::map<std::string, std::string>;

  // REQUIRES: the cluster outlives it.
  Clients(integration::TestCluster* cluster, const ClientOptions& options);
  ~Clients();

  // Ends the calls that are under way; no client calls again before Resume.
  void Pause();
  void Resume();
  void Finish();
  // While this is on, one of them writes values up to the limit, so far apart that it asks for less
  // than a slow link carries.
  void WriteLargeValues(bool on) { large_values_ = on; }

  // Reads every register once more, linearizably and as part of the history. False when a read
  // fails. REQUIRES: paused.
  bool ReadEverything();
  // Keys that were written once, and what was acknowledged. REQUIRES: paused.
  OnceWrites AcknowledgedOnce() const;

  linearizability::History history() const { return recorder_.history(); }
  Counts counts() const;
  // Writes that were acknowledged so far.
  uint64_t acknowledged_writes() const { return acknowledged_writes_.load(); }
  // Waits until one more write is acknowledged and returns how long that took; nothing with a gtest
  // failure when it takes longer than `timeout`.
  std::optional<integration::Millis> AwaitWrite(integration::Millis timeout) const;
  // Between acknowledged writes.
  integration::Millis longest_write_gap() const { return write_progress_.longest_gap(); }

 private:
  // What one client knows. Its own thread's, while not paused.
  struct Client {
    int64_t number;
    simulation::Dice dice;
    uint64_t next_value = 0;
    integration::Clock::time_point next_large = {};
    std::map<std::string, int64_t> seen_revisions;
    OnceWrites acknowledged_once;
  };

  void Run(Client* client);
  void CallOnce(Client* client);
  linearizability::Operation NextOperation(Client* client);
  linearizability::Operation LargePut(Client* client);
  void Do(Client* client, linearizability::Operation operation, integration::NodeClient* node,
          integration::Millis timeout);
  void Remember(Client* client, const linearizability::Operation& operation,
                const linearizability::Answer& answer);
  std::string KeyOfNow(char family, uint64_t number) const;

  integration::TestCluster* const cluster_;
  const ClientOptions options_;
  const integration::Clock::time_point start_ = integration::Clock::now();
  linearizability::HistoryRecorder recorder_;
  Progress write_progress_;
  std::array<std::atomic<uint64_t>, 4> outcomes_{};
  std::atomic<uint64_t> acknowledged_writes_{0};
  std::atomic<bool> large_values_{false};
  std::vector<Client> clients_;
  std::vector<std::thread> threads_;

  mutable Mutex mutex_;
  CondVar changed_;
  bool paused_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  size_t calling_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace raftkv::chaos
