#include "server/memory_budget.h"

#include <algorithm>

#include "server/limits.h"

namespace raftkv::server {
namespace {

// The smallest node's: several commands of the largest kind fit in.
constexpr uint64_t kQueueFloor = 16 * kMiB;
static_assert(kQueueFloor >= 2 * kCommandValuesMax * kv::kValueBytesMaxCeiling);
constexpr uint64_t kPortFloor = 128 * kMiB;

constexpr size_t kSlowRequestsMin = 64;
constexpr size_t kSlowRequestsMax = 512;

}  // namespace

MemoryBudget ShareOutMemory(const ServerOptions& options) {
  const auto whole = static_cast<uint64_t>(options.memory_bytes_max);
  MemoryBudget budget;
  budget.cache = whole / 4;
  budget.header_cache = whole / 32;
  // Larger ones make flushes rarer, but each search in them dearer (docs/PERFORMANCE.md).
  budget.write_buffer = std::min(whole / 16, 64 * kMiB);
  budget.log_write_buffer = budget.write_buffer / 2;
  // Four of each fit in, so that they are flushed because they are full.
  budget.wal = 4 * (budget.write_buffer + budget.log_write_buffer);
  budget.log_tail = std::min(whole / 32, 64 * kMiB);
  budget.proposals = std::clamp(whole / 4, kQueueFloor, 64 * kMiB);
  budget.unsent_answers = std::clamp(whole / 8, kQueueFloor, 256 * kMiB);
  budget.client_port = std::clamp(4 * whole, kPortFloor, 1024 * kMiB);
  budget.peer_port = std::clamp(2 * whole, kPortFloor, 512 * kMiB);
  budget.slow_requests_max =
      std::clamp<size_t>(budget.client_port / 2 / static_cast<uint64_t>(options.value_bytes_max),
                         kSlowRequestsMin, kSlowRequestsMax);
  return budget;
}

}  // namespace raftkv::server
