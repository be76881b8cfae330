// A few threads for what may wait for the disk: cold reads, lists, counts, scans for keys that are
// due.
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
  // kLong: it may go over very many keys.
  enum class Length { kShort, kLong };

  // Of two threads or more, the first runs short tasks only, so that none waits for long ones; the
  // others prefer long ones.
  explicit ReadPool(int threads);
  // Stops.
  ~ReadPool();

  // Runs `task` on one of the threads; false, and nothing happens, when kPoolTasksMax tasks of its
  // length wait already or the pool was stopped.
  [[nodiscard]] bool Submit(Length length, std::function<void()> task);
  // Finishes the tasks that have begun, drops those that have not, and joins the threads.
  // Idempotent.
  void Stop();

 private:
  using Tasks = std::deque<std::function<void()>>;

  void RunTasks(bool takes_long);

  Mutex mutex_;
  CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  Tasks short_ ABSL_GUARDED_BY(mutex_);
  Tasks long_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace raftkv::server
