// Clients of the client library, whose own retries hide what a test does to the cluster.
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "client/client.h"

namespace raftkv::integration {

// Each writes a key of its own, "load/0" and so on, reads it back, and begins again. Runs from
// construction to Stop. Thread-safe but for Stop.
class ClientLoad {
 public:
  ClientLoad(const std::vector<std::string>& endpoints, int clients);
  ~ClientLoad() { Stop(); }
  ClientLoad(const ClientLoad&) = delete;
  ClientLoad& operator=(const ClientLoad&) = delete;

  // Waits for the last calls. Idempotent.
  void Stop();
  // Waits until `more` values have been written and read back from now on; a gtest failure
  // otherwise.
  void AwaitMore(uint64_t more) const;
  // Each call that failed, and each value that was not what was written.
  std::vector<std::string> failures() const;

 private:
  void Run(Client client, const std::string& key);
  void Note(std::string failure);

  std::atomic<bool> stop_{false};
  std::atomic<uint64_t> successes_{0};
  mutable Mutex mutex_;
  std::vector<std::string> failures_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace raftkv::integration
