// The store's disk pool (kv/disk_pool.h) on threads of its own beside an event loop.
#pragma once

#include <cstddef>

#include "base/worker_pool.h"
#include "kv/disk_pool.h"
#include "server/loop/event_loop.h"

namespace raftkv::server {

// Confined to the loop.
class ThreadDiskPool final : public kv::DiskPool {
 public:
  // Borrows the loop.
  ThreadDiskPool(int threads, size_t tasks_max, EventLoop* loop)
      : loop_(*loop), workers_(threads, tasks_max) {}

  [[nodiscard]] bool Submit(Length length, Work work) override;
  // Finishes what has begun and drops the rest.
  void Stop() { workers_.Stop(); }

 private:
  EventLoop& loop_;
  WorkerPool workers_;
};

}  // namespace raftkv::server
