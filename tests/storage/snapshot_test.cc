// Snapshots of the applied state, from one store to another.
#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "base/rng.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "kv/command_version.h"
#include "rocksdb/env.h"
#include "rocksdb/file_system.h"
#include "storage/rocksdb_snapshot_reader.h"
#include "storage/snapshot_chunk.h"
#include "tests/storage/chunk_list.h"
#include "tests/storage/store_fixture.h"
#include "tests/support/wait.h"

namespace raftkv::storage {
namespace {

using testing::HasSubstr;

// More than anything here takes that does not wait for something else.
constexpr integration::Millis kPatience(30'000);

// Rows of a snapshot's chunks, with changes.
struct Rows {
  struct Row {
    size_t family;
    std::string key;
    std::string value;
  };

  explicit Rows(const std::vector<std::string>& chunks)
      : version(static_cast<uint8_t>(chunks.front().front())) {
    SnapshotChunkReader reader;
    for (const std::string& chunk : chunks) {
      EXPECT_TRUE(
          reader
              .Read(chunk,
                    [this](const SnapshotRow& row) {
                      rows.push_back({row.family, std::string(row.key), std::string(row.value)});
                      return absl::OkStatus();
                    })
              .ok());
    }
  }

  std::vector<std::string> Chunks() const {
    ChunkList chunks(version);
    for (const Row& row : rows) {
      chunks.Add(row.family, row.key, row.value);
    }
    return chunks.Finish();
  }

  Row& Find(size_t family, const std::string& key) {
    for (Row& row : rows) {
      if (row.family == family && row.key == key) {
        return row;
      }
    }
    ADD_FAILURE() << key;
    return rows.front();
  }

  uint8_t version;
  std::vector<Row> rows;
};

// Of large values only what the states differ by: escaping 180 MiB takes longer than the test.
std::string Values(Store& store) {
  std::string text;
  for (auto& [key, record] : store.Records()) {
    record.mutable_value()->resize(std::min<size_t>(record.value().size(), 40));
    absl::StrAppend(&text, key, ": ", record.ShortDebugString(), "\n");
  }
  return text;
}

uint64_t ResidentBytes() {
  uint64_t pages = 0;
  uint64_t resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * 4096;
}

log::v1::Command Publish(uint64_t member_id, const std::string& address) {
  log::v1::Command command;
  command.mutable_member_record()->set_member_id(member_id);
  command.mutable_member_record()->set_peer_address(address);
  return command;
}

// A leader's store and a follower's.
class SnapshotTest : public testing::Test {
 protected:
  SnapshotTest() : leader_(dir_.File("leader")), follower_(dir_.File("follower")) {
    for (Store* store : {&leader_, &follower_}) {
      store->Open();
      store->Found();
    }
  }

  void Fill(uint64_t entries, size_t value_bytes = 1000) {
    for (uint64_t i = 0; i < entries; ++i) {
      const std::string key = "key" + std::to_string(1000 + i);
      const std::string value(value_bytes, static_cast<char>('a' + i % 26));
      leader_.Run({i % 3 == 0 ? PutTtl(key, value, 60'000 + i) : Put(key, value)}, 2000 + i);
    }
  }
  std::string StagingPath() const { return follower_.data_dir() + "/db.staging"; }
  std::shared_ptr<raft::StagedSnapshot> Staged() {
    auto staged = follower_.Stage(leader_.Point(), leader_.ReadSnapshot());
    EXPECT_TRUE(staged.ok()) << staged.status();
    return *std::move(staged);
  }
  // A follower in the leader's term, whatever it has.
  void FollowerKnowsTerm(uint64_t term) {
    follower_.Write({{.id = {},
                      .hard_state = raft::HardState{.term = raft::Term(term), .vote = {}},
                      .entries = {}}});
  }
  void ExpectEqualStates() {
    EXPECT_EQ(Values(follower_), Values(leader_));
    EXPECT_EQ(follower_.TtlRows(), leader_.TtlRows());
    EXPECT_EQ(follower_.machine().applied(), leader_.machine().applied());
    EXPECT_EQ(follower_.machine().revision(), leader_.machine().revision());
    EXPECT_EQ(follower_.machine().key_count(), leader_.machine().key_count());
    EXPECT_EQ(follower_.machine().cluster_version(), leader_.machine().cluster_version());
    const raft::LogIndex applied = leader_.machine().applied().index;
    EXPECT_EQ(follower_.machine().StateHash(applied), leader_.machine().StateHash(applied));
    EXPECT_EQ(follower_.machine().digests().last(), applied);
    EXPECT_EQ(follower_.machine().TakeView()->Verify(nullptr), absl::OkStatus());
    EXPECT_EQ(follower_.machine().member_records().size(),
              leader_.machine().member_records().size());
    EXPECT_EQ(follower_.storage().configuration()->ShortDebugString(),
              leader_.storage().configuration()->ShortDebugString());
  }
  raft::RestoredState Restored() {
    absl::StatusOr<raft::RestoredState> restored = follower_.storage().Restore();
    EXPECT_TRUE(restored.ok()) << restored.status();
    return *std::move(restored);
  }

  TempDir dir_;
  Store leader_;
  Store follower_;
};

TEST_F(SnapshotTest, TheReaderGivesTheStateAsOfItsMoment) {
  Fill(1000);
  const std::string before = Values(leader_);
  const raft::SnapshotPoint point = leader_.Point();
  const std::unique_ptr<raft::SnapshotReader> reader = leader_.machine().TakeSnapshot();
  std::vector<std::string> chunks;
  for (uint64_t number = 0;; ++number) {
    // Files are switched and merged meanwhile.
    for (int i = 0; i < 100; ++i) {
      leader_.Run({Put("key" + std::to_string(1000 + i), std::string(2000, 'x')),
                   Delete("key" + std::to_string(1500 + i)), Put("new" + std::to_string(i), "n")});
    }
    auto chunk = reader->ReadChunk(number);
    ASSERT_TRUE(chunk.ok()) << chunk.status();
    if (!chunk->has_value()) {
      break;
    }
    chunks.push_back(**chunk);
  }
  EXPECT_GE(chunks.size(), 4u);
  EXPECT_EQ(reader->point(), point);
  FollowerKnowsTerm(1);
  auto staged = follower_.Stage(point, chunks);
  ASSERT_TRUE(staged.ok()) << staged.status();
  EXPECT_EQ((*staged)->meta().point, point);
  EXPECT_EQ((*staged)->meta().configuration.voters, std::set<raft::NodeId>{raft::NodeId(1)});
  follower_.Install(*std::move(staged), /*keeps_log=*/false);
  EXPECT_EQ(Values(follower_), before);
}

TEST_F(SnapshotTest, ChunksCanBeReadAgain) {
  Fill(600);
  const std::vector<std::string> chunks = leader_.ReadSnapshot();
  const std::unique_ptr<raft::SnapshotReader> reader = leader_.machine().TakeSnapshot();
  const auto read = [&](uint64_t number) { return reader->ReadChunk(number).value().value_or(""); };
  EXPECT_EQ(reader->ReadChunk(1).status().code(), absl::StatusCode::kInvalidArgument);
  for (uint64_t number = 0; number < chunks.size(); ++number) {
    EXPECT_EQ(read(number), chunks[number]);
    EXPECT_EQ(read(0), chunks[0]);
    EXPECT_EQ(read(number), chunks[number]);
  }
  EXPECT_EQ(reader->ReadChunk(chunks.size()).value(), std::nullopt);
  EXPECT_EQ(read(chunks.size() - 1), chunks.back());
  EXPECT_EQ(reader->ReadChunk(chunks.size()).value(), std::nullopt);
  EXPECT_EQ(reader->ReadChunk(chunks.size() + 1).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST_F(SnapshotTest, WhatLiesTooFarBackCannotBeReadAgain) {
  const std::string value(kChunkBytes, 'v');
  for (uint64_t i = 0; i < kChunksReadAgain + 10; ++i) {
    leader_.Run({Put("key" + std::to_string(1000 + i), value)});
  }
  const std::unique_ptr<raft::SnapshotReader> reader = leader_.machine().TakeSnapshot();
  const uint64_t newest = kChunksReadAgain + 5;
  std::string first_that_can;
  for (uint64_t number = 0; number <= newest; ++number) {
    const auto chunk = reader->ReadChunk(number);
    ASSERT_TRUE(chunk.ok());
    if (number == newest - (kChunksReadAgain - 1)) {
      first_that_can = **chunk;
    }
  }
  EXPECT_EQ(reader->ReadChunk(newest - (kChunksReadAgain - 1)).value(), first_that_can);
  EXPECT_EQ(reader->ReadChunk(newest - kChunksReadAgain).status().code(),
            absl::StatusCode::kOutOfRange);
}

TEST_F(SnapshotTest, TakesThePlaceOfTheLog) {
  leader_.Run({Publish(1, "n1:4801"), RaiseVersion(1)});
  Fill(300);
  // Entries of another history, none applied, and then a fence at the end of them.
  std::vector<raft::Entry> other;
  for (uint64_t index = 1; index <= 400; ++index) {
    other.push_back(NoOpEntry(index, /*term=*/1));
  }
  follower_.Append(other);
  follower_.Reopen();
  FollowerKnowsTerm(2);
  std::shared_ptr<const kv::KvView> old_view = follower_.machine().TakeView();
  const auto* const configuration = &follower_.storage().configuration();

  follower_.Install(Staged(), /*keeps_log=*/false);
  EXPECT_EQ(&follower_.storage().configuration(), configuration);
  ExpectEqualStates();
  EXPECT_EQ(old_view->Count({}, nullptr).value(), 0) << "it sees the old state";
  old_view.reset();
  EXPECT_TRUE(follower_.Load(301).trimmed);
  EXPECT_TRUE(follower_.Load(302).entries.empty()) << "the other history is gone";
  EXPECT_EQ(follower_.storage().log_store()->FirstOfNewest(1 << 30), raft::LogIndex(302));

  for (int opening = 0; opening < 3; ++opening) {
    const raft::RestoredState restored = [this] {
      follower_.Reopen();
      return Restored();
    }();
    ExpectEqualStates();
    EXPECT_EQ(restored.applied, leader_.machine().applied());
    EXPECT_EQ(restored.previous, leader_.machine().applied());
    EXPECT_EQ(restored.previous_stamp, raft::ClusterMillis(2299));
    EXPECT_TRUE(restored.tail.empty());
    EXPECT_EQ(follower_.storage().restored_clock().time, raft::ClusterMillis(2299));
  }
  // It goes on.
  const raft::Entry next = CommandEntry(302, {Put("next", "1")}, 3000, /*term=*/2);
  follower_.Append({next});
  follower_.Apply({next});
  leader_.Append({next});
  leader_.Apply({next});
  follower_.Reopen();
  ExpectEqualStates();
  EXPECT_EQ(Restored().tail.size(), 1u);
}

// Rows of entries that were cut lie in the tables or in the write-ahead log until it is replayed.
TEST_F(SnapshotTest, EndsWhereTheLogOnceHeldAnotherEntry) {
  Fill(5);
  const raft::Entry last = CommandEntry(6, {Put("last", "1")}, 3000, /*term=*/2);
  leader_.Append({last});
  leader_.Apply({last});
  std::vector<raft::Entry> other;
  for (uint64_t index = 1; index <= 9; ++index) {
    other.push_back(NoOpEntry(index, /*term=*/1));
  }
  follower_.Append(other);
  // Cuts all behind it.
  follower_.Append({NoOpEntry(2, /*term=*/2)});
  follower_.Install(Staged(), /*keeps_log=*/false);
  for (int opening = 0; opening < 2; ++opening) {
    follower_.Reopen();
    ExpectEqualStates();
    EXPECT_EQ(Restored().previous, last.id);
    EXPECT_TRUE(Restored().tail.empty());
  }
}

TEST_F(SnapshotTest, LeavesTheLogThatHoldsItsLastEntry) {
  Fill(50);
  std::vector<raft::Entry> entries = leader_.Load(1, 1 << 30).entries;
  entries.push_back(CommandEntry(51, {Put("after", "1")}, 5000));
  follower_.Append(entries);
  follower_.Apply({entries[0], entries[1]});
  follower_.Install(Staged(), /*keeps_log=*/true);
  ExpectEqualStates();
  EXPECT_EQ(follower_.Load(1).entries.size(), 51u);
  follower_.Apply({entries.back()});
  EXPECT_EQ(follower_.Value("after"), "1");
  follower_.Reopen();
  const raft::RestoredState restored = Restored();
  EXPECT_EQ(restored.applied.index, raft::LogIndex(51));
  EXPECT_EQ(restored.previous, raft::EntryId());
  EXPECT_EQ(restored.tail.size(), 51u);
  EXPECT_EQ(follower_.Value("after"), "1");
  EXPECT_EQ(follower_.machine().key_count(), 51);
}

TEST_F(SnapshotTest, WithoutAHistoryItComesAsOlderMembersKnowIt) {
  Fill(50);
  EXPECT_EQ(leader_.ReadSnapshot().front()[0], 1);
  leader_.Run({RaiseVersion(kv::kHistoryCommandVersion)});
  EXPECT_EQ(leader_.ReadSnapshot().front()[0], 3);
}

TEST_F(SnapshotTest, BringsTheHistory) {
  Fill(50);
  leader_.Run({RaiseVersion(kv::kHistoryCommandVersion)});
  const int64_t begin = leader_.machine().revision();
  leader_.Run({Put("h", "1"), Put("h", "2"), Delete("h")});
  FollowerKnowsTerm(1);
  follower_.machine().KeepEvents(true);
  follower_.Install(Staged(), /*keeps_log=*/false);
  EXPECT_TRUE(follower_.machine().TakeEvents().has_gap);
  EXPECT_EQ(follower_.machine().history(), leader_.machine().history());
  follower_.Reopen();
  EXPECT_EQ(follower_.machine().history(), leader_.machine().history());
  const auto page = follower_.machine().HistoryOnDisk()->Read({.from = {.revision = begin + 1},
                                                               .through = begin + 3,
                                                               .intervals = {{"", ""}},
                                                               .events_max = 10,
                                                               .visited_max = 10,
                                                               .bytes_max = 1000});
  ASSERT_TRUE(page.ok()) << page.status();
  ASSERT_EQ(page->events.size(), 3u);
  EXPECT_EQ(page->events[1].record.value, "2");
  EXPECT_EQ(page->events[2].type, kv::HistoryEventType::kDelete);
}

TEST_F(SnapshotTest, ThatLacksAnEventIsRefused) {
  Fill(50);
  leader_.Run({RaiseVersion(kv::kHistoryCommandVersion), Put("h", "1"), Put("h", "2")});
  Rows rows(leader_.ReadSnapshot());
  ASSERT_EQ(rows.rows.back().family, 4u);
  rows.rows.pop_back();
  const auto staged = follower_.Stage(leader_.Point(), rows.Chunks());
  EXPECT_THAT(staged.status().message(), HasSubstr("has 1 events, and says that it has 2"));
}

TEST_F(SnapshotTest, OfANewerVersionChangesNothing) {
  Fill(50);
  Rows rows(leader_.ReadSnapshot());
  kv::AppliedState applied = *DecodeAppliedState(rows.Find(0, kAppliedKey).value);
  applied.cluster_version = kv::OwnCommandVersion() + 1;
  rows.Find(0, kAppliedKey).value = EncodeAppliedState(applied);
  const raft::EntryId before = follower_.machine().applied();
  const auto staged = follower_.Stage(leader_.Point(), rows.Chunks());
  EXPECT_EQ(staged.status().code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(staged.status().message(), HasSubstr("start the newer version"));
  EXPECT_FALSE(std::filesystem::exists(StagingPath())) << "nothing was staged";
  EXPECT_EQ(follower_.machine().applied(), before);
  EXPECT_EQ(follower_.machine().cluster_version(), kv::kFirstCommandVersion);
}

TEST_F(SnapshotTest, CanBeInstalledAgainAndAgain) {
  FollowerKnowsTerm(1);
  for (int round = 0; round < 5; ++round) {
    Fill(20 + 30 * round);
    follower_.Install(Staged(), /*keeps_log=*/false);
    ExpectEqualStates();
    if (round % 2 == 0) {
      follower_.Reopen();
      ExpectEqualStates();
    }
  }
  follower_.Reopen();
  follower_.Close();
  // Each state but the last was dropped, by then or by the start.
  EXPECT_EQ(ListFamilies(follower_.database_path()).size(), 9u);
}

TEST_F(SnapshotTest, OldViewsStayAndTheNewStateIsReadAfterwards) {
  follower_.Run({Put("old", "1"), PutTtl("ttl", "2", 100)});
  Fill(30);
  const uint64_t walk = follower_.machine().BeginCount({.start = "a", .end = ""});
  const std::shared_ptr<const kv::KvView> view = follower_.machine().TakeView();
  const std::unique_ptr<raft::SnapshotReader> reader = follower_.machine().TakeSnapshot();
  follower_.Install(Staged(), /*keeps_log=*/false);
  // The old families are dropped now or soon.
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(view->Get("old").value()->value(), "1");
    EXPECT_EQ(view->Count({}, nullptr).value(), 2);
    EXPECT_EQ(view->FindDueKeys(raft::ClusterMillis(UINT64_MAX), 10).value().keys.size(), 1u);
    EXPECT_EQ(follower_.Value("old"), "(absent)");
    std::this_thread::yield();
  }
  EXPECT_TRUE(reader->ReadChunk(0).value().has_value());
  // What walked over the old state says nothing about the new one.
  follower_.machine().EndCount(walk, 5000);
  EXPECT_EQ(follower_.machine().KnownCount({.start = "a", .end = ""}), std::nullopt);
  EXPECT_EQ(follower_.machine().earliest_deadline(), leader_.machine().earliest_deadline());
  follower_.machine().OnScanned(raft::LogIndex(1), raft::ClusterMillis(0));
  EXPECT_EQ(follower_.machine().earliest_deadline().value(), leader_.TtlRows().front().first);
  follower_.Run({Put("old", "2")});
  EXPECT_EQ(follower_.Records()["old"].version(), 1) << "the old state's record was replaced";
}

// Keeps whoever makes a table file waiting.
class HeldTables final : public rocksdb::FileSystemWrapper {
 public:
  HeldTables() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "HeldTables"; }

  void Hold(bool hold) {
    MutexLock lock(&mutex_);
    held_ = hold;
    changed_.NotifyAll();
  }
  void AwaitWaiting() {
    MutexLock lock(&mutex_);
    while (waiting_ == 0) {
      changed_.Wait(&mutex_);
    }
  }
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* dbg) override {
    if (absl::EndsWith(path, ".sst")) {
      MutexLock lock(&mutex_);
      ++waiting_;
      changed_.NotifyAll();
      while (held_) {
        changed_.Wait(&mutex_);
      }
      --waiting_;
    }
    return FileSystemWrapper::NewWritableFile(path, options, file, dbg);
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  int waiting_ ABSL_GUARDED_BY(mutex_) = 0;
};

// A follower that lags needs its entries meanwhile.
TEST_F(SnapshotTest, DroppingAStateHoldsUpNoLoad) {
  Fill(30);
  const auto tables = std::make_shared<HeldTables>();
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(tables);
  Store store(dir_.File("slow"));
  store.options().env = env.get();
  store.Open();
  store.Found();
  store.Append({NoOpEntry(1)});
  auto staged = store.Stage(leader_.Point(), leader_.ReadSnapshot());
  ASSERT_TRUE(staged.ok()) << staged.status();
  tables->Hold(true);
  staged->reset();
  tables->AwaitWaiting();  // The drop flushes first.
  raft::LogStore& log = *store.storage().log_store();
  log.Load({.peer = raft::NodeId(2), .first = raft::LogIndex(1), .bytes_max = 1 << 20});
  EXPECT_TRUE(integration::WaitUntil(kPatience, [&] { return !log.TakeLoaded().empty(); }));
  tables->Hold(false);
  store.Close();
}

TEST_F(SnapshotTest, AStateThatIsNotInstalledIsDropped) {
  Fill(30);
  FollowerKnowsTerm(1);
  follower_.Run({Put("own", "1")});
  Staged().reset();
  EXPECT_EQ(follower_.Value("own"), "1");
  // The next one has another number.
  follower_.Install(Staged(), /*keeps_log=*/false);
  ExpectEqualStates();
  follower_.Reopen();
  ExpectEqualStates();
  follower_.Close();
  EXPECT_EQ(ListFamilies(follower_.database_path()).size(), 9u);
}

TEST_F(SnapshotTest, TheStagingFolderIsEmptiedAtTheEndAndAtAStart) {
  Fill(300);
  {
    const std::unique_ptr<raft::SnapshotWriter> writer =
        follower_.machine().StageSnapshot(leader_.Point());
    ASSERT_TRUE(writer->Write(leader_.ReadSnapshot().front()).ok());
    EXPECT_FALSE(std::filesystem::is_empty(StagingPath()));
  }
  EXPECT_TRUE(std::filesystem::is_empty(StagingPath()));
  FollowerKnowsTerm(1);
  follower_.Install(Staged(), /*keeps_log=*/false);
  EXPECT_TRUE(std::filesystem::is_empty(StagingPath()));
}

TEST_F(SnapshotTest, AStartRemovesWhatAKillLeft) {
  std::filesystem::create_directories(StagingPath() + "/1");
  integration::WriteFile(StagingPath() + "/1/1-0.sst", "rest");
  follower_.Reopen();
  EXPECT_FALSE(std::filesystem::exists(StagingPath()));
}

TEST_F(SnapshotTest, TheOldStatesSpaceComesBack) {
  for (int i = 0; i < 100; ++i) {
    follower_.Run({Put("key" + std::to_string(1000 + i), std::string(100 << 10, 'v'))});
  }
  follower_.Trim(99);
  Fill(10);
  leader_.Append({});
  const int64_t before = follower_.storage().DiskBytes();
  const raft::SnapshotPoint point = leader_.Point();
  // The leader is far ahead.
  Rows rows(leader_.ReadSnapshot());
  kv::AppliedState applied = *DecodeAppliedState(rows.Find(0, kAppliedKey).value);
  applied.id.index = raft::LogIndex(1000);
  rows.Find(0, kAppliedKey).value = EncodeAppliedState(applied);
  auto staged = follower_.Stage({.last = applied.id, .stamp = point.stamp}, rows.Chunks());
  ASSERT_TRUE(staged.ok()) << staged.status();
  follower_.Install(*std::move(staged), /*keeps_log=*/false);
  EXPECT_TRUE(integration::WaitUntil(
      kPatience, [&] { return follower_.storage().DiskBytes() <= before / 2; }));
  EXPECT_EQ(Values(follower_), Values(leader_));
}

TEST_F(SnapshotTest, LargeValuesAndManyFilesTakeLittleMemory) {
  // What no compression makes smaller.
  Rng rng(1);
  for (int i = 0; i < 60; ++i) {
    std::string value(3 << 20, '\0');
    for (size_t at = 0; at < value.size(); at += sizeof(uint64_t)) {
      const uint64_t random = rng.Next();
      std::memcpy(&value[at], &random, sizeof(random));
    }
    leader_.Run({Put("key" + std::to_string(1000 + i), value)});
  }
  FollowerKnowsTerm(1);
  const uint64_t before = ResidentBytes();
  uint64_t most = before;
  const std::unique_ptr<raft::SnapshotReader> reader = leader_.machine().TakeSnapshot();
  std::unique_ptr<raft::SnapshotWriter> writer = follower_.machine().StageSnapshot(reader->point());
  uint64_t files = 0;
  for (uint64_t number = 0;; ++number) {
    const auto chunk = reader->ReadChunk(number);
    ASSERT_TRUE(chunk.ok()) << chunk.status();
    if (!chunk->has_value()) {
      break;
    }
    ASSERT_EQ(writer->Write(**chunk), absl::OkStatus());
    most = std::max(most, ResidentBytes());
    files = std::max<uint64_t>(files, FilesWithSuffix(StagingPath() + "/1", ".sst").size());
  }
  auto staged = writer->Finish();
  ASSERT_TRUE(staged.ok()) << staged.status();
  most = std::max(most, ResidentBytes());
  EXPECT_EQ(files, 4u) << "one of `state`, and one of `latest` for each 64 MiB";
  RecordProperty("resident_bytes_more", static_cast<int>(most - before));
#if !defined(__SANITIZE_ADDRESS__)  // It keeps what is freed.
  EXPECT_LE(most - before, uint64_t{64} << 20) << "180 MiB were brought over";
#endif
  writer.reset();
  follower_.Install(*std::move(staged), /*keeps_log=*/false);
  ExpectEqualStates();
  follower_.Reopen();
  ExpectEqualStates();
}

// What is refused leaves the old state, and nothing of itself.
class BadSnapshotTest : public SnapshotTest {
 protected:
  BadSnapshotTest() {
    Fill(600);
    FollowerKnowsTerm(1);
    follower_.Run({Put("own", "1")});
    chunks_ = leader_.ReadSnapshot();
  }
  void ExpectRefused(const std::vector<std::string>& chunks, const std::string& why) {
    ExpectRefused(leader_.Point(), chunks, why);
  }
  void ExpectRefused(const raft::SnapshotPoint& point, const std::vector<std::string>& chunks,
                     const std::string& why) {
    const auto staged = follower_.Stage(point, chunks);
    EXPECT_EQ(staged.status().code(), absl::StatusCode::kInvalidArgument) << staged.status();
    EXPECT_THAT(std::string(staged.status().message()), HasSubstr(why));
    EXPECT_EQ(follower_.Value("own"), "1");
    EXPECT_TRUE(!std::filesystem::exists(StagingPath()) ||
                std::filesystem::is_empty(StagingPath()));
  }

  std::vector<std::string> chunks_;
};

TEST_F(BadSnapshotTest, AWholeOneIsTaken) {
  EXPECT_TRUE(follower_.Stage(leader_.Point(), Rows(chunks_).Chunks()).ok());
}

TEST_F(BadSnapshotTest, ChunksThatDoNotFit) {
  ASSERT_GE(chunks_.size(), 3u);
  std::vector<std::string> bad = chunks_;
  bad.pop_back();
  ExpectRefused(bad, "is cut off");
  ExpectRefused({}, "is cut off");
  bad = chunks_;
  bad.insert(bad.begin(), bad.front());
  ExpectRefused(bad, "repeats a row");
  bad = chunks_;
  std::swap(bad[0], bad[1]);
  ExpectRefused(bad, "too late");
  bad = chunks_;
  bad.erase(bad.begin() + 1);
  ExpectRefused(bad, "other rows");
  bad = chunks_;
  bad.push_back(bad.back());
  ExpectRefused(bad, "follows the last one");
  bad = chunks_;
  bad[1][bad[1].size() / 2] ^= 1;
  ExpectRefused(bad, "");
}

TEST_F(BadSnapshotTest, AnotherPoint) {
  raft::SnapshotPoint point = leader_.Point();
  point.last.index = point.last.index.Next();
  ExpectRefused(point, chunks_, "was said to stand at entry 601");
  point = leader_.Point();
  point.last.term = raft::Term(2);
  ExpectRefused(point, chunks_, "of term 2");
  point = leader_.Point();
  point.stamp = point.stamp + 1;
  ExpectRefused(point, chunks_, "was said to stand");
}

TEST_F(BadSnapshotTest, RowsThatMakeNoState) {
  const auto change = [&](size_t family, const std::string& key, const std::string& value,
                          const std::string& why) {
    Rows rows(chunks_);
    rows.Find(family, key).value = value;
    ExpectRefused(rows.Chunks(), why);
  };
  change(0, kAppliedKey, "\xff", "what it applied");
  change(0, kConfigurationKey, "\xff", "configuration");
  log::v1::ClusterConfiguration configuration = FoundingConfiguration();
  configuration.set_cluster_id(78);
  change(0, kConfigurationKey, configuration.SerializeAsString(), "of cluster 78");
  configuration = FoundingConfiguration();
  configuration.clear_voters();
  change(0, kConfigurationKey, configuration.SerializeAsString(), "voter");
  change(1, "key1001", "\x02", "record");
  change(2, Rows(chunks_).rows.back().key, "x", "deadline");
  kv::AppliedState applied = *DecodeAppliedState(Rows(chunks_).Find(0, kAppliedKey).value);
  ++applied.key_count;
  change(0, kAppliedKey, EncodeAppliedState(applied), "says that it has 601");
  --applied.key_count;
  ++applied.rows_hash;
  change(0, kAppliedKey, EncodeAppliedState(applied), "keys that are not those of its state");
  const std::string deadline_hash = Rows(chunks_).rows.back().value;
  change(2, Rows(chunks_).rows.back().key, EncodeRowHash(*DecodeRowHash(deadline_hash) + 1),
         "rows of deadlines");

  const std::string not_its_keys = "keys that are not those of its state";
  Rows changed(chunks_);
  changed.Find(1, "key1001").value.back() ^= 1;
  ExpectRefused(changed.Chunks(), not_its_keys);
  Rows lost_for_another(chunks_);
  lost_for_another.Find(1, "key1001").key = "key1001x";
  ExpectRefused(lost_for_another.Chunks(), not_its_keys);
  Rows exchanged(chunks_);
  std::swap(exchanged.Find(1, "key1001").value, exchanged.Find(1, "key1004").value);
  ExpectRefused(exchanged.Chunks(), not_its_keys);

  const auto remove = [&](size_t family, const std::string& key, const std::string& why) {
    Rows rows(chunks_);
    std::erase_if(rows.rows,
                  [&](const Rows::Row& row) { return row.family == family && row.key == key; });
    ExpectRefused(rows.Chunks(), why);
  };
  remove(0, kAppliedKey, "stands at entry 0");
  remove(0, kConfigurationKey, "no configuration");
  remove(1, "key1001", "keys");
  remove(2, Rows(chunks_).rows.back().key, "rows of deadlines");

  Rows moved(chunks_);
  moved.rows.back().key.back() ^= 1;
  ExpectRefused(moved.Chunks(), "rows of deadlines");
  Rows strange(chunks_);
  strange.rows.insert(strange.rows.begin(), {0, "a", ""});
  ExpectRefused(strange.Chunks(), "row of `state`");
}

TEST_F(BadSnapshotTest, NoneIsTakenThatWouldLeaveTooLittleSpace) {
  follower_.options().disk_reserve_bytes = int64_t{1} << 60;
  follower_.Reopen();
  const std::map<std::string, log::v1::StoredKeyValue> before = follower_.Records();
  const auto staged = follower_.Stage(leader_.Point(), chunks_);
  EXPECT_EQ(staged.status().code(), absl::StatusCode::kResourceExhausted) << staged.status();
  EXPECT_THAT(std::string(staged.status().message()), HasSubstr("half of --disk_reserve_bytes"));
  EXPECT_EQ(follower_.Records().size(), before.size());
  follower_.options().disk_reserve_bytes = 32 << 20;
  follower_.Reopen();
  EXPECT_TRUE(follower_.Stage(leader_.Point(), chunks_).ok());
}

TEST_F(BadSnapshotTest, AFailureStays) {
  const std::unique_ptr<raft::SnapshotWriter> writer =
      follower_.machine().StageSnapshot(leader_.Point());
  const absl::Status failed = writer->Write("bad");
  EXPECT_FALSE(failed.ok());
  EXPECT_EQ(writer->Write(chunks_[0]), failed);
  EXPECT_EQ(writer->Finish().status(), failed);
}

}  // namespace
}  // namespace raftkv::storage
