// A thread that waits for the disk so that the loop and the log thread need not: loads of old log
// entries, and runs whose apply stalled. Both are rare, so one thread is enough.
#pragma once

#include <deque>
#include <functional>
#include <thread>

#include "base/mutex.h"

namespace raftkv::storage {

// Thread-safe.
class ReaderThread {
 public:
  ReaderThread();
  // Finishes the job that runs and drops the others.
  ~ReaderThread();
  ReaderThread(const ReaderThread&) = delete;
  ReaderThread& operator=(const ReaderThread&) = delete;

  // Runs jobs in the order of the calls. Callers bound their number: a load per peer, one run.
  void Post(std::function<void()> job);

 private:
  void Run();

  Mutex mutex_;
  CondVar changed_;
  std::deque<std::function<void()>> jobs_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace raftkv::storage
