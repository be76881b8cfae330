#include "server/read_pool.h"

#include <utility>

#include "server/limits.h"

namespace raftkv::server {

ReadPool::ReadPool(int threads) {
  for (int i = 0; i < threads; ++i) {
    const bool takes_long = i > 0 || threads == 1;
    threads_.emplace_back([this, takes_long] { RunTasks(takes_long); });
  }
}

ReadPool::~ReadPool() { Stop(); }

bool ReadPool::Submit(Length length, std::function<void()> task) {
  {
    MutexLock lock(&mutex_);
    Tasks& tasks = length == Length::kLong ? long_ : short_;
    if (stopped_ || tasks.size() >= kPoolTasksMax) {
      return false;
    }
    tasks.push_back(std::move(task));
  }
  // Who is woken alone might be the one that must not take it.
  changed_.NotifyAll();
  return true;
}

void ReadPool::Stop() {
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

void ReadPool::RunTasks(bool takes_long) {
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

}  // namespace raftkv::server
