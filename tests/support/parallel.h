// Many small calls at once, from a few threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace raftkv::integration {

// Runs body(0) ... body(count - 1) on `threads` threads and returns when all have run.
template <typename Body>
void ParallelFor(size_t count, size_t threads, Body body) {
  std::atomic<size_t> next{0};
  std::vector<std::thread> workers;
  for (size_t worker = 0; worker < threads; ++worker) {
    workers.emplace_back([&] {
      for (size_t i = next++; i < count; i = next++) {
        body(i);
      }
    });
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
}

}  // namespace raftkv::integration
