// A few threads for what may wait for the disk, so that whoever must not wait need not.
#pragma once

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace raftkv {

// Thread-safe.
class WorkerPool {
 public:
  // kLong: it may go over very many keys.
  enum class Length { kShort, kLong };

  // Of two threads or more, the first runs short tasks only, so that none waits for long ones; the
  // others prefer long ones.
  WorkerPool(int threads, size_t tasks_max);
  // Stops.
  ~WorkerPool();

  // Runs `task` on one of the threads, those of one length in the order of the calls; false, and
  // nothing happens, when tasks_max of its length wait already or the pool was stopped.
  [[nodiscard]] bool Submit(Length length, std::function<void()> task);
  // Finishes the tasks that have begun, drops those that have not,
  // and joins the threads. Idempotent.
  void Stop();

 private:
  using Tasks = std::deque<std::function<void()>>;

  void RunTasks(bool takes_long);

  const size_t tasks_max_;
  Mutex mutex_;
  CondVar changed_;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  Tasks short_ ABSL_GUARDED_BY(mutex_);
  Tasks long_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_;
};

}  // namespace raftkv
