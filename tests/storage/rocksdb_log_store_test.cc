#include "storage/rocksdb_log_store.h"

#include <atomic>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "tests/storage/store_fixture.h"
#include "tests/support/wait.h"

namespace raftkv::storage {
namespace {

raft::Entry Payload(uint64_t index, const std::string& payload, uint64_t term = 1) {
  return {.id = {raft::Term(term), raft::LogIndex(index)},
          .kind = raft::EntryKind::kCommands,
          .stamp = raft::ClusterMillis(1000 + index),
          .payload = std::make_shared<const std::string>(payload)};
}

class RocksDbLogStoreTest : public testing::Test {
 protected:
  RocksDbLogStoreTest() : store_(dir_.File("data")) { store_.Open(); }

  raft::LogStore& log() { return *store_.storage().log_store(); }

  raft::LoadedEntries Load(uint64_t first, uint64_t bytes_max = 1 << 20) {
    return store_.Load(first, bytes_max);
  }

  std::vector<std::string> Payloads(const std::vector<raft::Entry>& entries) {
    std::vector<std::string> payloads;
    for (const raft::Entry& entry : entries) {
      payloads.push_back(entry.payload == nullptr ? "" : *entry.payload);
    }
    return payloads;
  }

  raft::RestoredState Restored() {
    store_.Reopen();
    absl::StatusOr<raft::RestoredState> restored = store_.storage().Restore();
    EXPECT_TRUE(restored.ok()) << restored.status();
    return *std::move(restored);
  }

  TempDir dir_;
  Store store_;
};

TEST_F(RocksDbLogStoreTest, KeepsEntriesAndHardState) {
  store_.Append({NoOpEntry(1), Payload(2, "a", 3)});
  const raft::RestoredState restored = Restored();
  EXPECT_EQ(restored.hard_state.term, raft::Term(3));
  EXPECT_EQ(restored.hard_state.vote, raft::NodeId(1));
  ASSERT_EQ(restored.tail.size(), 2u);
  EXPECT_EQ(restored.tail[0].kind, raft::EntryKind::kNoOp);
  EXPECT_EQ(restored.tail[1].id, (raft::EntryId{raft::Term(3), raft::LogIndex(2)}));
  EXPECT_EQ(restored.tail[1].stamp, raft::ClusterMillis(1002));
  EXPECT_EQ(*restored.tail[1].payload, "a");
}

TEST_F(RocksDbLogStoreTest, HardStateAloneComesBack) {
  const raft::HardState state{.term = raft::Term(9), .vote = raft::NodeId(3)};
  log().Write({.id = raft::WriteId(1), .hard_state = state, .entries = {}});
  store_.AwaitDurable(raft::WriteId(1));
  EXPECT_EQ(Restored().hard_state, state);
}

TEST_F(RocksDbLogStoreTest, NewEntriesReplaceTheSuffix) {
  store_.Append({Payload(1, "a"), Payload(2, "b"), Payload(3, "c"), Payload(4, "d")});
  store_.Append({Payload(2, "B", 2)});
  EXPECT_EQ(Payloads(Restored().tail), (std::vector<std::string>{"a", "B"}));
  // The store knows the new end after a restart, too.
  store_.Append({Payload(3, "C", 2), Payload(4, "D", 2), Payload(5, "E", 2)});
  store_.Append({Payload(1, "x", 3)});
  EXPECT_EQ(Payloads(Restored().tail), (std::vector<std::string>{"x"}));
}

TEST_F(RocksDbLogStoreTest, ConflictingWritesOfOneBatchKeepTheirOrder) {
  log().Write({.id = raft::WriteId(1),
               .hard_state = raft::HardState{.term = raft::Term(1), .vote = {}},
               .entries = {Payload(1, "a"), Payload(2, "b"), Payload(3, "c")}});
  log().Write({.id = raft::WriteId(2),
               .hard_state = raft::HardState{.term = raft::Term(2), .vote = {}},
               .entries = {Payload(2, "B", 2)}});
  log().Write({.id = raft::WriteId(3), .hard_state = {}, .entries = {Payload(3, "C", 2)}});
  store_.AwaitDurable(raft::WriteId(3));
  const raft::RestoredState restored = Restored();
  EXPECT_EQ(Payloads(restored.tail), (std::vector<std::string>{"a", "B", "C"}));
  EXPECT_EQ(restored.hard_state.term, raft::Term(2));
}

TEST_F(RocksDbLogStoreTest, DurableIdIsReportedOnceAndWakesTheLoop) {
  EXPECT_FALSE(log().TakeDurable().has_value());
  const int woken = store_.waker().count();
  log().Write({.id = raft::WriteId(5), .hard_state = {}, .entries = {Payload(1, "a")}});
  store_.waker().AwaitMoreThan(woken);
  EXPECT_EQ(log().TakeDurable(), raft::WriteId(5));
  EXPECT_FALSE(log().TakeDurable().has_value());
}

TEST_F(RocksDbLogStoreTest, EachSyncIsToldOfBeforeItsWriteIs) {
  std::atomic<int> syncs = 0;
  store_.options().on_sync = [&syncs](MonotonicNanos took) {
    EXPECT_GT(took, 0);
    ++syncs;
  };
  store_.Reopen();
  for (int i = 1; i <= 3; ++i) {
    const int before = syncs;
    store_.Append({Payload(i, "a")});
    EXPECT_EQ(syncs, before + 1) << i;
  }
  store_.Close();
}

TEST_F(RocksDbLogStoreTest, QueuedWritesAreFinishedAtTheEnd) {
  for (uint64_t i = 1; i <= 200; ++i) {
    log().Write({.id = raft::WriteId(i),
                 .hard_state = raft::HardState{.term = raft::Term(1), .vote = {}},
                 .entries = {Payload(i, "p")}});
  }
  EXPECT_EQ(Restored().tail.size(), 200u);
}

TEST_F(RocksDbLogStoreTest, LoadsARangeWithThePreviousEntry) {
  std::vector<raft::Entry> entries;
  for (uint64_t i = 1; i <= 10; ++i) {
    entries.push_back(Payload(i, std::string(100, static_cast<char>('a' + i)), i < 5 ? 1 : 2));
  }
  store_.Append(entries);

  raft::LoadedEntries loaded = Load(1);
  EXPECT_EQ(loaded.previous, raft::EntryId());
  EXPECT_EQ(loaded.entries.size(), 10u);

  loaded = Load(5);
  EXPECT_EQ(loaded.previous, (raft::EntryId{raft::Term(1), raft::LogIndex(4)}));
  ASSERT_EQ(loaded.entries.size(), 6u);
  EXPECT_EQ(loaded.entries.front().id, (raft::EntryId{raft::Term(2), raft::LogIndex(5)}));
  EXPECT_EQ(*loaded.entries.front().payload, *entries[4].payload);

  EXPECT_EQ(Load(5, /*bytes_max=*/2 * (100 + raft::Entry::kOverheadBytes)).entries.size(), 2u);
  EXPECT_EQ(Load(5, /*bytes_max=*/1).entries.size(), 1u) << "one entry, however large";
}

TEST_F(RocksDbLogStoreTest, LoadsNothingThatIsNotThere) {
  store_.Append({Payload(1, "a"), Payload(2, "b")});
  EXPECT_TRUE(Load(3).entries.empty());
  EXPECT_TRUE(Load(9).entries.empty());
}

TEST_F(RocksDbLogStoreTest, AGapIsABrokenInvariant) {
  // The log thread would be missing after a mere fork.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(store_.Append({Payload(2, "b")}), "gap");
}

TEST_F(RocksDbLogStoreTest, WhatWasTrimmedCannotBeLoaded) {
  store_.Append({Payload(1, "a"), Payload(2, "b"), Payload(3, "c"), Payload(4, "d")});
  const LogEdge edge{.id = {raft::Term(1), raft::LogIndex(2)}, .stamp = raft::ClusterMillis(1002)};
  store_.Close();
  TrimLog(dir_.File("data") + "/db", edge);
  store_.Open();
  EXPECT_TRUE(Load(1).trimmed);
  const raft::LoadedEntries last_trimmed = Load(2);
  EXPECT_TRUE(last_trimmed.trimmed);
  EXPECT_TRUE(last_trimmed.entries.empty());
  const raft::LoadedEntries first_kept = Load(3);
  EXPECT_FALSE(first_kept.trimmed);
  EXPECT_EQ(first_kept.previous, edge.id);
  EXPECT_EQ(Payloads(first_kept.entries), (std::vector<std::string>{"c", "d"}));
  EXPECT_EQ(Load(4).previous.index, raft::LogIndex(3));
}

// Nothing that is kept is left: the log goes on after what it says it began after.
TEST_F(RocksDbLogStoreTest, AnEmptyTrimmedLogGoesOn) {
  store_.Append({Payload(1, "a"), Payload(2, "b", 3)});
  const LogEdge edge{.id = {raft::Term(3), raft::LogIndex(2)}, .stamp = raft::ClusterMillis(1002)};
  store_.Close();
  kv::AppliedState applied;
  applied.id = edge.id;
  OverwriteRow(dir_.File("data") + "/db", "state.1", kAppliedKey, EncodeAppliedState(applied));
  TrimLog(dir_.File("data") + "/db", edge);
  store_.Open();
  store_.Append({Payload(3, "c", 3)});
  const raft::RestoredState restored = Restored();
  EXPECT_EQ(restored.previous, edge.id);
  EXPECT_EQ(restored.previous_stamp, edge.stamp);
  EXPECT_EQ(Payloads(restored.tail), (std::vector<std::string>{"c"}));
}

class LogTrimTest : public testing::Test {
 protected:
  LogTrimTest() : store_(dir_.File("data")) { store_.Open(); }

  raft::LogStore& log() { return *store_.storage().log_store(); }
  void PutMany(uint64_t count, size_t value_bytes = 1000) {
    for (uint64_t i = 0; i < count; ++i) {
      store_.Run({Put("key" + std::to_string(i % 10), std::string(value_bytes, 'v'))});
    }
  }

  TempDir dir_;
  Store store_;
};

TEST_F(LogTrimTest, TheLogBeginsLaterAndGoesOn) {
  PutMany(20);
  store_.Trim(12);
  EXPECT_TRUE(store_.Load(1).trimmed);
  EXPECT_TRUE(store_.Load(12).trimmed);
  const raft::LoadedEntries kept = store_.Load(13);
  EXPECT_FALSE(kept.trimmed);
  EXPECT_EQ(kept.previous, (raft::EntryId{raft::Term(1), raft::LogIndex(12)}));
  EXPECT_EQ(kept.entries.size(), 8u);
  PutMany(3);
  for (int opening = 0; opening < 3; ++opening) {
    store_.Reopen();
    const absl::StatusOr<raft::RestoredState> restored = store_.storage().Restore();
    ASSERT_TRUE(restored.ok()) << restored.status();
    EXPECT_EQ(restored->previous.index, raft::LogIndex(12));
    EXPECT_EQ(restored->previous_stamp, raft::ClusterMillis(1000));
    ASSERT_EQ(restored->tail.size(), 11u);
    EXPECT_EQ(restored->tail.front().id.index, raft::LogIndex(13));
  }
  EXPECT_TRUE(store_.Load(12).trimmed);
}

TEST_F(LogTrimTest, WhatIsGoneAlreadyIsTrimmedOnce) {
  PutMany(10);
  store_.Trim(5);
  log().Trim(raft::LogIndex(3));
  log().Trim(raft::LogIndex(5));
  PutMany(1);
  EXPECT_EQ(store_.Load(6).entries.size(), 6u);
}

// Rows that were trimmed may come to light again when files go.
TEST_F(LogTrimTest, NothingIsReadBeforeTheStart) {
  PutMany(10);
  store_.Trim(10);
  store_.Close();
  for (const uint64_t index : {9, 10}) {
    std::string value;
    EncodeLogValue(NoOpEntry(index, /*term=*/1), &value);
    OverwriteRow(store_.database_path(), kRaftLogFamily, EncodeLogKey(raft::LogIndex(index)),
                 value);
  }
  store_.Open();
  EXPECT_TRUE(store_.Load(10).trimmed);
  EXPECT_TRUE(store_.Load(11).entries.empty());
  PutMany(2);
  EXPECT_EQ(store_.Load(11).entries.size(), 2u);
  store_.Reopen();
  const absl::StatusOr<raft::RestoredState> restored = store_.storage().Restore();
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->previous.index, raft::LogIndex(10));
  EXPECT_EQ(restored->tail.size(), 2u);
}

TEST_F(LogTrimTest, KnowsWhereTheNewestBytesBegin) {
  EXPECT_EQ(log().FirstOfNewest(1), raft::LogIndex(1));
  const uint64_t entry_bytes = 100 << 10;
  for (uint64_t i = 0; i < 100; ++i) {
    store_.Run({Put("key", std::string(entry_bytes, 'v'))});
  }
  const auto expect_about = [&](uint64_t first) {
    // A segment, and what RocksDB estimates.
    EXPECT_NEAR(static_cast<double>(log().FirstOfNewest(40 * entry_bytes).value()),
                static_cast<double>(first), 16);
    EXPECT_LE(log().FirstOfNewest(40 * entry_bytes).value(), first);
  };
  expect_about(61);
  EXPECT_EQ(log().FirstOfNewest(1000 * entry_bytes), raft::LogIndex(1));
  store_.Reopen();
  expect_about(61);
  EXPECT_EQ(log().FirstOfNewest(1000 * entry_bytes), raft::LogIndex(1));
  store_.Trim(80);
  EXPECT_EQ(log().FirstOfNewest(40 * entry_bytes), raft::LogIndex(81));
}

TEST_F(LogTrimTest, SpaceComesBack) {
  // Twenty times the memtable, so that most of it is in files that were merged.
  for (int i = 0; i < 400; ++i) {
    store_.Run({Put("key", std::string(100 << 10, static_cast<char>(i)))});
  }
  const int64_t before = store_.storage().DiskBytes();
  ASSERT_GT(before, 30 << 20);
  store_.Trim(399);
  // The log's files are given back in the background.
  EXPECT_TRUE(integration::WaitUntil(integration::Millis(30'000),
                                     [&] { return store_.storage().DiskBytes() <= before / 2; }))
      << before << " bytes before, and now " << store_.storage().DiskBytes();
  store_.Reopen();
  EXPECT_TRUE(store_.storage().Restore().ok());
}

TEST_F(LogTrimTest, ATrimBeyondTheLogIsABrokenInvariant) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  PutMany(3);
  EXPECT_DEATH(store_.Trim(4), "beyond the log");
}

TEST_F(RocksDbLogStoreTest, CountsEachSyncAndWhatItMadeDurable) {
  const LogDiskCounts before = store_.storage().LogDisk();
  store_.Append({NoOpEntry(1), Payload(2, std::string(1000, 'x')), Payload(3, "b")});
  store_.Append({Payload(4, "c")});
  const LogDiskCounts after = store_.storage().LogDisk();
  EXPECT_EQ(after.sync_nanos.count() - before.sync_nanos.count(), 2U);
  EXPECT_EQ(after.write_nanos.count() - before.write_nanos.count(), 2U);
  EXPECT_GT(after.sync_nanos.sum(), before.sync_nanos.sum()) << "no disk is that fast";
  EXPECT_EQ(after.sync_entries.sum() - before.sync_entries.sum(), 4U);
  EXPECT_GT(after.bytes - before.bytes, 1000U);
  EXPECT_LT(after.bytes - before.bytes, 2000U);
}

}  // namespace
}  // namespace raftkv::storage
