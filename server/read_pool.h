// A few threads for what may wait for the disk: cold reads, lists, scans for keys that are due.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace raftkv::server {

// Thread-safe.
class ReadPool {
 public:
  explicit ReadPool(int threads);
  // Stops.
  ~ReadPool();

  // Runs `task` on one of the threads; false, and nothing happens, when kPoolTasksMax tasks wait
  // already or the pool was stopped.
  [[nodiscard]] bool Submit(std::function<void()> task);
  // Finishes the tasks that have begun, drops those that have not, and joins the threads.
  // Idempotent.
  void Stop();

 private:
  void RunTasks();

  Mutex mutex_;
  CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::deque<std::function<void()>> tasks_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace raftkv::server
