#include "storage/reader_thread.h"

#include <utility>

namespace raftkv::storage {

ReaderThread::ReaderThread() : thread_([this] { Run(); }) {}

ReaderThread::~ReaderThread() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyOne();
  }
  thread_.join();
}

void ReaderThread::Post(std::function<void()> job) {
  MutexLock lock(&mutex_);
  jobs_.push_back(std::move(job));
  changed_.NotifyOne();
}

void ReaderThread::Run() {
  while (true) {
    std::function<void()> job;
    {
      MutexLock lock(&mutex_);
      while (jobs_.empty() && !stopping_) {
        changed_.Wait(&mutex_);
      }
      if (stopping_) {
        return;
      }
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    job();
  }
}

}  // namespace raftkv::storage
