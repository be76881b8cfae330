// What a server holds in memory stays within --memory_bytes_max and what its code takes, however
// much it stores.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/rng.h"
#include "tests/support/parallel.h"
#include "tests/support/single_node.h"

namespace raftkv::integration {
namespace {

// Code, threads, connections, and what the allocator keeps.
constexpr int64_t kBesides = 64 * kMiB;

// Writes keys of 64 KiB from several threads; their values do not compress.
void PutMany(NodeClient* client, int keys) {
  constexpr size_t kValueBytes = 64 << 10;
  std::atomic<int> next{0};
  std::vector<std::thread> threads;
  for (uint64_t seed = 1; seed <= 8; ++seed) {
    threads.emplace_back([&, seed] {
      Rng rng(seed);
      std::string value(kValueBytes, ' ');
      for (int key = next++; key < keys; key = next++) {
        std::generate(value.begin(), value.end(),
                      [&rng] { return static_cast<char>('!' + rng.Below(94)); });
        const auto put = client->PutText(absl::StrCat("key/", key), value);
        ASSERT_TRUE(put.ok()) << put;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST(MemoryTest, MoreDataThanMemoryIsHeldInLittle) {
  constexpr int64_t kPlanned = 64 * kMiB;
  constexpr int kKeys = 6000;  // 375 MiB.
  SingleNode node({"--memory_bytes_max=64MiB"});
  ASSERT_TRUE(node.Start());
  int64_t most = 0;
  for (int part = 1; part <= 4; ++part) {
    PutMany(&node.client(), kKeys / 4);
    ASSERT_FALSE(testing::Test::HasFailure());
    // Reads bring blocks into the cache.
    auto list = Proto<v1::ListRequest>(R"(range { prefix: "key/" } page_size: 40)");
    for (int page = 0; page < 30; ++page) {
      const auto listed = node.client().List(list);
      ASSERT_TRUE(listed.ok()) << listed;
      list.set_page_token(listed->next_page_token());
    }
    const auto status = node.client().GetStatus();
    ASSERT_TRUE(status.ok()) << status;
    const v1::MemoryUse& memory = status->memory();
    EXPECT_EQ(memory.planned_bytes(), kPlanned);
    EXPECT_LE(memory.cached_block_bytes() + memory.write_buffer_bytes(), kPlanned / 2)
        << memory.DebugString();
    EXPECT_LE(memory.log_bytes(), kPlanned / 16) << memory.DebugString();
    most = std::max(most, memory.resident_bytes());
  }
  EXPECT_GT(most, 16 * kMiB) << "is it measured at all?";
  EXPECT_LE(most, kPlanned + kBesides);
}

}  // namespace
}  // namespace raftkv::integration
