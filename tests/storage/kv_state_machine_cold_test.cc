// What RocksDbKvStateMachine does not read on the loop: records on the disk, and large ranges.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using log::v1::Command;
using log::v1::CommandOutcome;
using log::v1::Operation;

// A block cache that holds nothing, and keys that are in table files only: every read stalls at
// first.
TEST(KvStateMachineColdTest, StallsWithoutEffectAndGoesOnWhenWarm) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  for (int i = 0; i < 20; ++i) {
    store.Run({Put("key" + std::to_string(i), std::string(1000, 'v'))});
  }
  store.Close();
  FlushAll(store.database_path());
  store.Open();
  log::v1::StoredKeyValue record;
  EXPECT_EQ(store.machine().GetCached("key3", &record), kv::CacheLookup::kNotCached);

  const std::vector<raft::Entry> run = {
      CommandEntry(21, {Put("fresh", "1"), Put("key3", "2")}),
      CommandEntry(22, {Txn({}, {DeleteRangeOp("key5", "key7")})})};
  RecordingObserver observer;
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(run, &observer), 0u) << "half an entry was applied, or it waited";
  EXPECT_TRUE(observer.outcomes.empty());
  EXPECT_EQ(store.machine().applied().index, raft::LogIndex(20));
  EXPECT_EQ(store.Value("fresh"), "(absent)");
  store.waker().AwaitMoreThan(woken);

  store.Apply(run);
  EXPECT_EQ(store.Value("key3"), "2");
  EXPECT_EQ(store.Value("key5"), "(absent)");
  EXPECT_EQ(store.machine().applied().index, raft::LogIndex(22));
  EXPECT_EQ(store.machine().GetCached("key3", &record), kv::CacheLookup::kFound);
  EXPECT_EQ(record.version(), 2);
  EXPECT_EQ(store.machine().GetCached("key5", &record), kv::CacheLookup::kAbsent);
}

// Of a key that was written lately everything but the value is known, so its next write needs no
// disk although its record is on it alone.
TEST(KvStateMachineColdTest, AWriteOfAKnownKeyNeedsNoDisk) {
  for (const bool known : {true, false}) {
    TempDir dir;
    Store store(dir.File("data"));
    store.options().cache_bytes = 1;
    store.options().header_cache_bytes = known ? 1 << 20 : 0;
    store.Open();
    store.Run({PutTtl("key", "1", 5000)});
    store.Run({Put("gone", "1")});
    store.Run({Delete("gone")});
    log::v1::StoredKeyValue record;
    // Until the record is flushed.
    for (int i = 0; store.machine().GetCached("key", &record) != kv::CacheLookup::kNotCached; ++i) {
      ASSERT_LT(i, 10'000) << "it is still in memory";
      store.Run({Put("filler" + std::to_string(i), std::string(10'000, 'v'))});
    }
    const uint64_t next = store.machine().applied().index.value() + 1;
    log::v1::Operation keep = KeepTtlOp("key", "2");
    const std::vector<raft::Entry> run = {CommandEntry(next, {Txn({}, {keep})})};
    store.Append(run);
    RecordingObserver observer;
    const int woken = store.waker().count();
    ASSERT_EQ(store.machine().Apply(run, &observer), known ? 1u : 0u);
    if (!known) {
      store.waker().AwaitMoreThan(woken);
      store.Apply(run);
    }
    EXPECT_EQ(store.Records()["key"].version(), 2);
    EXPECT_EQ(store.TtlRows().size(), 1u) << "the deadline was lost, or is there twice";
    store.Run({Put("key", "3"), Put("gone", "2")});
    EXPECT_EQ(store.TtlRows().size(), 0u);
    EXPECT_EQ(store.Records()["gone"].version(), 1);
  }
}

// Keys 100, 101, ... of 1000 bytes each, in table files only. Returns the index of the last entry.
uint64_t WriteColdKeys(Store* store, int count) {
  store->Open();
  for (int i = 0; i < count; ++i) {
    store->Run({Put(std::to_string(100 + i), std::string(1000, 'v'))});
  }
  const uint64_t last = store->machine().applied().index.value();
  store->Close();
  FlushAll(store->database_path());
  store->Open();
  return last;
}

TEST(KvStateMachineColdTest, RangeWithALimitReadsNoMoreThanItDeletes) {
  TempDir dir;
  Store store(dir.File("data"));
  const uint64_t last = WriteColdKeys(&store, 200);
  Operation range = DeleteRangeOp("100", "999");
  range.mutable_delete_()->set_limit(3);
  const std::vector<CommandOutcome> outcomes =
      store.Apply({CommandEntry(last + 1, {Txn({}, {range})})});
  EXPECT_EQ(outcomes.at(0).operations(0).deleted(), 3u);
  EXPECT_TRUE(outcomes.at(0).operations(0).more());
  log::v1::StoredKeyValue record;
  EXPECT_EQ(store.machine().GetCached("299", &record), kv::CacheLookup::kNotCached)
      << "the whole range was read";
}

// The cache keeps nothing, so whatever is read twice is read from the disk twice.
TEST(KvStateMachineColdTest, RangeLargerThanTheCacheStallsOnce) {
  TempDir dir;
  Store store(dir.File("data"));
  store.options().cache_bytes = 1;
  const uint64_t last = WriteColdKeys(&store, 100);
  const std::vector<raft::Entry> run = {
      CommandEntry(last + 1, {Txn({}, {DeleteRangeOp("100", "999")})}),
      CommandEntry(last + 2, {Put("100", "again")})};
  RecordingObserver observer;
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(run, &observer), 0u) << "it waited for the disk";
  store.waker().AwaitMoreThan(woken);
  EXPECT_EQ(store.machine().Apply(run, &observer), 2u) << "it was read in vain";
  ASSERT_EQ(observer.outcomes.size(), 2u);
  EXPECT_EQ(observer.outcomes[0].operations(0).deleted(), 100u);
  EXPECT_EQ(store.machine().key_count(), 1);
  EXPECT_EQ(store.Value("100"), "again");
}

// Many keys that are due at once must not bring their records into memory.
TEST(KvStateMachineColdTest, ExpireReadsNoRecords) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  for (int i = 100; i < 200; ++i) {
    store.Run({PutTtl(std::to_string(i), std::string(1000, 'v'), 50)});
  }
  const uint64_t last = store.machine().applied().index.value();
  store.Close();
  FlushAll(store.database_path());
  store.Open();
  ASSERT_EQ(store.TtlRows().size(), 100u) << "and now these rows are cached";
  const std::vector<raft::Entry> run = {CommandEntry(last + 1, {Expire(0, "", 60)}, 2000)};
  RecordingObserver observer;
  EXPECT_EQ(store.machine().Apply(run, &observer), 1u) << "it waited for records";
  EXPECT_EQ(store.machine().key_count(), 40);
  log::v1::StoredKeyValue record;
  EXPECT_EQ(store.machine().GetCached("199", &record), kv::CacheLookup::kNotCached);
}

TEST(KvStateMachineColdTest, LargeRangesAreReadOffTheLoop) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  std::vector<Command> puts;
  for (int i = 1000; i < 6000; ++i) {
    puts.push_back(Put(std::to_string(i), "v"));
  }
  store.Run(puts);
  const std::vector<raft::Entry> run = {CommandEntry(2, {Txn({}, {DeleteRangeOp("1", "6")})})};
  RecordingObserver observer;
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(run, &observer), 0u) << "5000 keys were read on the loop";
  store.waker().AwaitMoreThan(woken);
  EXPECT_EQ(store.machine().Apply(run, &observer), 1u);
  EXPECT_EQ(store.machine().key_count(), 0);
}

TEST(KvStateMachineColdTest, WhatWarmEntriesLeftIsThereForAColdOne) {
  TempDir dir;
  Store store(dir.File("data"));
  const uint64_t last = WriteColdKeys(&store, 100);
  const std::vector<raft::Entry> run = {
      CommandEntry(last + 1, {Put("new", "1")}),  // Beyond all files: nothing to read.
      CommandEntry(last + 2, {Txn({Exists("new", true)}, {PutOp("150", "2")})})};
  RecordingObserver observer;
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(run, &observer), 1u) << "only the second is cold";
  store.waker().AwaitMoreThan(woken);
  EXPECT_EQ(store.machine().Apply(absl::MakeConstSpan(run).subspan(1), &observer), 1u);
  EXPECT_EQ(store.Value("150"), "2");
  EXPECT_EQ(observer.ids, (std::vector<std::pair<uint64_t, uint64_t>>{{7, 1}, {7, 1}}));
}

TEST(KvStateMachineColdTest, OnlyWantedOutcomesOfAColdEntryAreTold) {
  TempDir dir;
  Store store(dir.File("data"));
  const uint64_t last = WriteColdKeys(&store, 100);
  const std::vector<raft::Entry> run = {CommandEntry(last + 1, {Put("150", "2")})};
  RecordingObserver observer;
  observer.unwanted_origin = 7;
  const int woken = store.waker().count();
  EXPECT_EQ(store.machine().Apply(run, &observer), 0u);
  store.waker().AwaitMoreThan(woken);
  EXPECT_EQ(store.machine().Apply(run, &observer), 1u);
  EXPECT_TRUE(observer.outcomes.empty());
}

}  // namespace
}  // namespace raftkv::storage
