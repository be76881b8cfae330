#include "server/memory_budget.h"

#include <gtest/gtest.h>

#include "kv/limits.h"
#include "server/limits.h"

namespace raftkv::server {
namespace {

MemoryBudget BudgetOf(uint64_t mib, int64_t value_bytes_max = 1 << 20) {
  ServerOptions options;
  options.memory_bytes_max = static_cast<int64_t>(mib * kMiB);
  options.value_bytes_max = value_bytes_max;
  return ShareOutMemory(options);
}

TEST(MemoryBudgetTest, WhatTheNodeHoldsForItselfLeavesRoomForTheRest) {
  for (const uint64_t mib : {64, 65, 100, 256, 1000, 65'536}) {
    const MemoryBudget budget = BudgetOf(mib);
    EXPECT_LE(budget.cache + budget.header_cache + budget.log_tail + budget.proposals +
                  budget.unsent_answers,
              mib * kMiB * 7 / 8)
        << mib;
    // RocksDB flushes the oldest buffers when all take half the cache.
    EXPECT_LE(budget.write_buffer + budget.log_write_buffer, budget.cache / 2) << mib;
  }
}

TEST(MemoryBudgetTest, TheSmallestNodeTakesTheLargestCommands) {
  const MemoryBudget budget = BudgetOf(64, kv::kValueBytesMaxCeiling);
  const uint64_t command = kCommandValuesMax * kv::kValueBytesMaxCeiling;
  EXPECT_GE(budget.proposals, 2 * command);
  EXPECT_GE(budget.unsent_answers, 2 * kv::kPageBytesMax);
  EXPECT_GE(budget.client_port, 16 * command);
  EXPECT_GE(budget.peer_port, uint64_t{4} * kPeerMessageBytesMax);
  EXPECT_GE(budget.slow_requests_max, 16U);
}

TEST(MemoryBudgetTest, SlowRequestsLeaveHalfThePortToOthers) {
  const MemoryBudget budget = BudgetOf(256);
  EXPECT_LE(budget.slow_requests_max * kMiB, budget.client_port / 2);
  EXPECT_GE(budget.slow_requests_max * kMiB, budget.client_port / 4);
}

TEST(MemoryBudgetTest, MoreMemoryIsMostlyCache) {
  const MemoryBudget small = BudgetOf(1024);
  const MemoryBudget large = BudgetOf(16 * 1024);
  EXPECT_EQ(large.cache, 16 * small.cache);
  EXPECT_EQ(large.write_buffer, small.write_buffer);
  EXPECT_EQ(large.wal, small.wal);
}

}  // namespace
}  // namespace raftkv::server
