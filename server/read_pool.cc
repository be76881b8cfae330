#include "server/read_pool.h"

#include <utility>

#include "server/limits.h"

namespace raftkv::server {

ReadPool::ReadPool(int threads) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { RunTasks(); });
  }
}

ReadPool::~ReadPool() { Stop(); }

bool ReadPool::Submit(std::function<void()> task) {
  {
    MutexLock lock(&mutex_);
    if (stopped_ || tasks_.size() >= kPoolTasksMax) {
      return false;
    }
    tasks_.push_back(std::move(task));
  }
  changed_.NotifyOne();
  return true;
}

void ReadPool::Stop() {
  std::deque<std::function<void()>> dropped;
  {
    MutexLock lock(&mutex_);
    stopped_ = true;
    dropped.swap(tasks_);
  }
  changed_.NotifyAll();
  for (std::thread& thread : threads_) {
    thread.join();
  }
  threads_.clear();
}

void ReadPool::RunTasks() {
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(&mutex_);
      while (!stopped_ && tasks_.empty()) {
        changed_.Wait(&mutex_);
      }
      if (stopped_) {
        return;
      }
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace raftkv::server
