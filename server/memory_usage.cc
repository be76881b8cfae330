#include "server/memory_usage.h"

#include <unistd.h>

#include <fstream>

namespace raftkv::server {
namespace {

// As the system counts it; 0 when it does not say.
int64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  int64_t total_pages = 0;
  int64_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return statm ? resident_pages * sysconf(_SC_PAGESIZE) : 0;
}

}  // namespace

void MemoryUsage::Fill(v1::MemoryUse* use) const {
  const storage::StorageMemory storage = storage_.MemoryUse();
  use->set_planned_bytes(planned_bytes_);
  use->set_resident_bytes(ResidentBytes());
  use->set_cached_block_bytes(static_cast<int64_t>(storage.cached_blocks));
  use->set_write_buffer_bytes(static_cast<int64_t>(storage.write_buffers));
  use->set_unsent_answer_bytes(static_cast<int64_t>(backlog_.bytes()));
}

}  // namespace raftkv::server
