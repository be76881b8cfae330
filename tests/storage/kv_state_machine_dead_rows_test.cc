// What a member's loop walks over is bounded, whatever died there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>
#include <vector>

#include "rocksdb/perf_context.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using log::v1::Command;
using log::v1::Operation;

TEST(KvStateMachineDeadRowsTest, DeadRowsAreWalkedOffTheLoop) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  std::vector<Command> puts;
  std::vector<Command> deletions;
  for (int i = 1000; i < 6000; ++i) {
    puts.push_back(PutTtl(std::to_string(i), "v", 50));
    deletions.push_back(Delete(std::to_string(i)));
  }
  store.Run(puts);
  store.Run(deletions);
  store.Run({PutTtl("last", "v", 60)});
  const std::vector<raft::Entry> run = {CommandEntry(4, {Expire(0, "", 10)}, 2000)};
  RecordingObserver observer;
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(run, &observer), 0u) << "5000 dead rows were walked over";
  store.waker().AwaitMoreThan(woken);
  EXPECT_EQ(store.machine().Apply(run, &observer), 1u);
  EXPECT_EQ(store.Value("last"), "(absent)");
}

std::string NumberedKey(int number) { return std::to_string(1'000'000 + number); }

// Writes key 999 of so many thousands, with a deadline, each behind 500 that died.
void WriteLivingAmongDead(Store* store, int living) {
  store->options().write_buffer_bytes = 64 << 20;  // No compaction removes what died.
  store->options().wal_bytes_max = 256 << 20;
  store->Open();
  std::vector<Command> puts;
  std::vector<Command> deletions;
  for (int i = 0; i < living; ++i) {
    for (int j = 0; j < 500; ++j) {
      puts.push_back(PutTtl(NumberedKey(i * 1000 + j), "v", 50));
      deletions.push_back(Delete(NumberedKey(i * 1000 + j)));
    }
    puts.push_back(PutTtl(NumberedKey(i * 1000 + 999), "v", 50));
  }
  store->Run(puts);
  store->Run(deletions);
}

// Each step is short, the walk is not.
TEST(KvStateMachineDeadRowsTest, DeadRowsBetweenLivingOnesAddUp) {
  TempDir dir;
  Store store(dir.File("data"));
  WriteLivingAmongDead(&store, 20);
  const std::vector<raft::Entry> run = {CommandEntry(3, {Expire(0, "", 400)}, 2000)};
  RecordingObserver observer;
  const int woken = store.waker().count();
  ASSERT_EQ(store.machine().Apply(run, &observer), 0u) << "10,000 dead rows were walked over";
  store.waker().AwaitMoreThan(woken);
  EXPECT_EQ(store.machine().Apply(run, &observer), 1u);
  EXPECT_EQ(store.machine().key_count(), 0);
}

TEST(KvStateMachineDeadRowsTest, DeadKeysOfTheEntriesOfARunAddUp) {
  TempDir dir;
  Store store(dir.File("data"));
  WriteLivingAmongDead(&store, 20);
  std::vector<raft::Entry> run;
  for (int i = 0; i < 20; ++i) {
    run.push_back(CommandEntry(
        3 + static_cast<uint64_t>(i),
        {Txn({}, {DeleteRangeOp(NumberedKey(i * 1000), NumberedKey(i * 1000 + 1000))})}));
  }
  RecordingObserver observer;
  const int woken = store.waker().count();
  const size_t on_loop = store.machine().Apply(run, &observer);
  EXPECT_GE(on_loop, 1u);
  ASSERT_LE(on_loop, 5u) << "of 500 dead keys each";
  store.waker().AwaitMoreThan(woken);
  run.erase(run.begin(), run.begin() + static_cast<ptrdiff_t>(on_loop));
  EXPECT_EQ(store.machine().Apply(run, &observer), run.size());
  EXPECT_EQ(store.machine().key_count(), 0);
}

// A queue: what was taken from its head does not make taking dearer, nor does it run on the loop.
TEST(KvStateMachineDeadRowsTest, TakingFromTheHeadCostsTheSameWhateverDiedThere) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  std::vector<Command> puts;
  for (int i = 10'000; i < 16'000; ++i) {
    puts.push_back(Put("q/" + std::to_string(i), "v"));
  }
  store.Run(puts);
  const auto take = [](uint64_t limit) {
    Operation operation = DeleteRangeOp("q/", "q0");
    operation.mutable_delete_()->set_limit(limit);
    return Txn({}, {operation});
  };
  store.Run({take(5000)});
  // The first has to find it out, elsewhere.
  RecordingObserver observer;
  const std::vector<raft::Entry> first = {CommandEntry(3, {take(1)})};
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(first, &observer), 0u) << "5000 dead keys were walked over";
  store.waker().AwaitMoreThan(woken);
  ASSERT_EQ(store.machine().Apply(first, &observer), 1u);
  for (uint64_t i = 1; i <= 900; ++i) {
    const uint64_t before = rocksdb::get_perf_context()->internal_delete_skipped_count;
    const std::vector<raft::Entry> next = {CommandEntry(3 + i, {take(1)})};
    while (store.machine().Apply(next, &observer) == 0) {
      std::this_thread::yield();
    }
    ASSERT_LT(rocksdb::get_perf_context()->internal_delete_skipped_count - before, 600u);
    ASSERT_EQ(observer.outcomes.back().operations(0).deleted(), 1u);
  }
  EXPECT_EQ(store.machine().key_count(), 6000 - 5000 - 901);
}

}  // namespace
}  // namespace raftkv::storage
