#include "server/loop/thread_disk_pool.h"

#include <utility>

namespace raftkv::server {

bool ThreadDiskPool::Submit(Length length, Work work) {
  const WorkerPool::Length lane =
      length == Length::kLong ? WorkerPool::Length::kLong : WorkerPool::Length::kShort;
  return workers_.Submit(lane, [this, work = std::move(work)] { loop_.Post(work()); });
}

}  // namespace raftkv::server
