#include "base/worker_pool.h"

#include <utility>

namespace raftkv {

WorkerPool::WorkerPool(int threads, size_t tasks_max) : tasks_max_(tasks_max) {
  for (int i = 0; i < threads; ++i) {
    const bool takes_long = i > 0 || threads == 1;
    threads_.emplace_back([this, takes_long] { RunTasks(takes_long); });
  }
}

WorkerPool::~WorkerPool() { Stop(); }

bool WorkerPool::Submit(Length length, std::function<void()> task) {
  {
    MutexLock lock(&mutex_);
    Tasks& tasks = length == Length::kLong ? long_ : short_;
    if (stopped_ || tasks.size() >= tasks_max_) {
      return false;
    }
    tasks.push_back(std::move(task));
  }
  // Who is woken alone might be the one that must not take it.
  changed_.NotifyAll();
  return true;
}

void WorkerPool::Stop() {
  Tasks dropped_short;
  Tasks dropped_long;
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    dropped_short.swap(short_);
    dropped_long.swap(long_);
  }
  changed_.NotifyAll();
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
}

void WorkerPool::RunTasks(bool takes_long) {
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(&mutex_);
      while (!stopped_ && short_.empty() && !(takes_long && !long_.empty())) {
        changed_.Wait(&mutex_);
      }
      if (stopped_) {
        return;
      }
      Tasks& tasks = takes_long && !long_.empty() ? long_ : short_;
      task = std::move(tasks.front());
      tasks.pop_front();
    }
    task();
  }
}

}  // namespace raftkv
