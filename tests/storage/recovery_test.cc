// What a start makes of files that a crash, a power cut or a bad disk left behind.
#include <signal.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"
#include "storage/rocksdb_options.h"
#include "storage/wal_gap_filter.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using testing::HasSubstr;

namespace fs = std::filesystem;

raft::ClusterReading Reading(uint64_t term, uint64_t millis) {
  return {.term = raft::Term(term), .time = raft::ClusterMillis(millis)};
}

void PutMany(Store& store, int from, int to) {
  for (int i = from; i < to; ++i) {
    store.Run({Put("key" + std::to_string(i), std::string(1000, 'v'))});
  }
}

constexpr char kPutAndDie[] = "--put_and_die";
constexpr char kPutUnflushedAndDie[] = "--put_unflushed_and_die";
constexpr char kFillDisk[] = "--fill_disk";
constexpr char kReadCorrupt[] = "--read_corrupt";

// Runs this binary in one of the modes of main(), which end the process without closing anything,
// as kill -9 does. Not a mere fork: RocksDB's threads would be missing in it. Returns the exit
// code, -1 for a signal.
int RunMode(const std::vector<std::string>& arguments) {
  std::vector<char*> argv = {const_cast<char*>("recovery_test")};
  for (const std::string& argument : arguments) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  pid_t child = 0;
  if (posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, argv.data(), environ) != 0) {
    return -1;
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

void PutManyAndDie(const std::string& data_dir, int from, int to) {
  ASSERT_EQ(RunMode({kPutAndDie, data_dir, std::to_string(from), std::to_string(to)}), 0);
}

void FlipByte(const std::string& path, uintmax_t offset) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  const char byte = static_cast<char>(file.get());
  file.seekp(static_cast<std::streamoff>(offset));
  file.put(static_cast<char>(byte ^ 0x40));
  ASSERT_TRUE(file.flush());
}

void CutTail(const std::string& path, uintmax_t bytes) {
  ASSERT_GT(fs::file_size(path), bytes);
  fs::resize_file(path, fs::file_size(path) - bytes);
}

std::vector<std::string> LogFiles(const std::string& data_dir) {
  return FilesWithSuffix(data_dir + "/db", ".log");
}

// Whether log, applied index and keys are those of one moment: every applied Put(key<i>) is there,
// no later one is.
void ExpectPrefix(Store& store, uint64_t* applied_out) {
  const absl::StatusOr<raft::RestoredState> restored = store.storage().Restore();
  ASSERT_TRUE(restored.ok()) << restored.status();
  const uint64_t applied = restored->applied.index.value();
  ASSERT_GE(restored->tail.size(), applied);
  EXPECT_EQ(store.machine().key_count(), static_cast<int64_t>(applied));
  EXPECT_EQ(store.machine().revision(), static_cast<int64_t>(applied));
  const auto records = store.Records();
  EXPECT_EQ(records.size(), applied);
  for (uint64_t i = 0; i < applied; ++i) {
    EXPECT_TRUE(records.contains("key" + std::to_string(i))) << i;
  }
  *applied_out = applied;
}

TEST(RecoveryTest, KilledProcessLosesNothing) {
  TempDir dir;
  PutManyAndDie(dir.File("data"), 0, 300);
  Store store(dir.File("data"));
  store.Open();
  uint64_t applied = 0;
  ExpectPrefix(store, &applied);
  EXPECT_EQ(applied, 300u);
}

TEST(RecoveryTest, RestartAfterAFullDiskLosesNothingAcknowledged) {
  TempDir dir;
  EXPECT_EQ(RunMode({kFillDisk, dir.File("data"), dir.File("acknowledged")}), -1) << "no abort";
  const int acknowledged = std::stoi(integration::ReadFile(dir.File("acknowledged")));
  EXPECT_GT(acknowledged, 0);
  Store store(dir.File("data"));
  store.Open();
  const absl::StatusOr<raft::RestoredState> restored = store.storage().Restore();
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_GE(restored->tail.size(), static_cast<size_t>(acknowledged));
  // The entry whose write failed may have survived.
  store.Apply(restored->tail);
  const int next = static_cast<int>(restored->tail.size());
  PutMany(store, next, next + 1);
  EXPECT_EQ(store.machine().key_count(), next + 1);
}

TEST(RecoveryTest, FlippedByteInTheMiddleOfTheWalIsRefused) {
  TempDir dir;
  PutManyAndDie(dir.File("data"), 0, 20);
  const std::vector<std::string> logs = LogFiles(dir.File("data"));
  ASSERT_EQ(logs.size(), 1u);
  FlipByte(logs.front(), fs::file_size(logs.front()) / 2);

  Store store(dir.File("data"));
  const absl::Status status = store.TryOpen();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(dir.File("data") + "/db"));
  EXPECT_THAT(std::string(status.message()), HasSubstr(kRemedy));
}

TEST(RecoveryTest, CutTailIsAccepted) {
  TempDir dir;
  PutManyAndDie(dir.File("data"), 0, 20);
  const std::vector<std::string> logs = LogFiles(dir.File("data"));
  ASSERT_EQ(logs.size(), 1u);
  CutTail(logs.front(), 5);

  Store store(dir.File("data"));
  store.Open();
  uint64_t applied = 0;
  ExpectPrefix(store, &applied);
  EXPECT_EQ(applied, 19u);
}

// Makes a database whose WAL spans several files, none of it flushed, so that a cut in an older one
// is a hole. Without its fence, so that what is cut may count as never synced.
class WalGapTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_EQ(RunMode({kPutUnflushedAndDie, data_dir(), "0", "150"}), 0);
    fs::remove(data_dir() + "/FORMAT");
    fs::remove(data_dir() + "/FENCE");
    logs_ = LogFiles(data_dir());
    ASSERT_GE(logs_.size(), 2u) << "the WAL did not switch";
  }

  std::string data_dir() const { return dir_.File("data"); }

  // Rows of a family when RocksDB alone recovers, without the filter, in a copy of the directory.
  FamilyRows RecoverWithoutFilter(const std::string& family) {
    const std::string copy = dir_.File("copy");
    fs::remove_all(copy);
    fs::copy(data_dir() + "/db", copy, fs::copy_options::recursive);
    return DumpFamily(copy, family);
  }

  TempDir dir_;
  std::vector<std::string> logs_;
};

bool HasHole(const FamilyRows& raft_log) {
  uint64_t expected = 1;
  for (const auto& [key, value] : raft_log) {
    if (DecodeLogKey(key) != raft::LogIndex(expected++)) {
      return true;
    }
  }
  return false;
}

TEST_F(WalGapTest, ReplayStopsAtAGapBetweenFiles) {
  CutTail(logs_[logs_.size() - 2], 5000);
  ASSERT_TRUE(HasHole(RecoverWithoutFilter(kRaftLogFamily)))
      << "RocksDB alone found no hole, so this test would show nothing";

  Store store(data_dir());
  store.Open();
  uint64_t applied = 0;
  ExpectPrefix(store, &applied);
  EXPECT_LT(applied, 150u);
  EXPECT_GT(applied, 0u);

  // The dropped part must not come back, and the member goes on from there.
  const absl::StatusOr<raft::RestoredState> restored = store.storage().Restore();
  ASSERT_TRUE(restored.ok());
  const std::vector<raft::Entry> left(restored->tail.begin() + static_cast<ptrdiff_t>(applied),
                                      restored->tail.end());
  store.Apply(left);
  const int next = static_cast<int>(store.machine().applied().index.value());
  PutMany(store, next, next + 10);
  store.Reopen();
  ExpectPrefix(store, &applied);
  EXPECT_EQ(applied, static_cast<uint64_t>(next + 10));
}

TEST_F(WalGapTest, ReplayStopsWhenTheFirstFileIsEmpty) {
  fs::resize_file(logs_.front(), 0);
  ASSERT_TRUE(HasHole(RecoverWithoutFilter(kRaftLogFamily)));

  Store store(data_dir());
  store.Open();
  uint64_t applied = 0;
  ExpectPrefix(store, &applied);
  EXPECT_EQ(applied, 0u);
}

TEST_F(WalGapTest, WholeFilesLeaveNothingOut) {
  Store store(data_dir());
  store.Open();
  uint64_t applied = 0;
  ExpectPrefix(store, &applied);
  EXPECT_EQ(applied, 150u);
}

// A file at rest with some data in tables and some in the WAL must open whole however often it is
// opened.
TEST(RecoveryTest, RestartsWithFlushedFilesSeeNoGap) {
  TempDir dir;
  int next = 0;
  for (int round = 0; round < 6; ++round) {
    const int end = next + 40 + 150 * (round % 2);
    PutManyAndDie(dir.File("data"), next, end);
    next = end;
    Store store(dir.File("data"));
    store.Open();
    uint64_t applied = 0;
    ExpectPrefix(store, &applied);
    ASSERT_EQ(applied, static_cast<uint64_t>(next));
  }
}

// A closed database of 100 keys whose large table files have a bad block.
void MakeCorrupt(const std::string& data_dir) {
  {
    Store store(data_dir);
    // One table file per family, so that no compaction is due.
    store.options().write_buffer_bytes = 64 << 20;
    store.options().log_write_buffer_bytes = 64 << 20;
    store.options().cache_bytes = 256 << 20;
    store.Open();
    for (int i = 0; i < 100; ++i) {
      store.Run({Put("key" + std::to_string(1000 + i), std::string(1000, 'v'))});
    }
  }
  FlushAll(data_dir + "/db");
  // The largest table files hold the values; everything but footers and indexes is data.
  for (const std::string& file : FilesWithSuffix(data_dir + "/db", ".sst")) {
    if (fs::file_size(file) > 50000) {
      FlipByte(file, fs::file_size(file) / 2);
    }
  }
}

TEST(RecoveryTest, CorruptTableBlockIsDataLossNotAShortResult) {
  TempDir dir;
  MakeCorrupt(dir.File("data"));
  // In a process of its own: the end of a view lets RocksDB compact, and a compaction that meets
  // the bad block ends it.
  EXPECT_EQ(RunMode({kReadCorrupt, dir.File("data")}), 0);
}

// It would delete fewer keys than the other members do.
TEST(RecoveryDeathTest, RangeDeleteOverACorruptBlockEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  TempDir dir;
  EXPECT_EXIT(
      {
        MakeCorrupt(dir.File("data"));
        Store store(dir.File("data"));
        store.Open();
        store.Run({Txn({}, {DeleteRangeOp("key", "kez")})});
      },
      testing::ExitedWithCode(kExitDamaged), "stopping: `latest` is corrupted");
}

TEST(RecoveryTest, MissingTableFileIsDataLoss) {
  TempDir dir;
  {
    Store store(dir.File("data"));
    store.Open();
    PutMany(store, 0, 100);
  }
  FlushAll(dir.File("data") + "/db");
  const fs::path missing = FilesWithSuffix(dir.File("data") + "/db", ".sst").front();
  fs::remove(missing);
  Store store(dir.File("data"));
  const absl::Status status = store.TryOpen();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr(missing.stem().string()));
}

class MisfitTest : public testing::Test {
 protected:
  void SetUp() override {
    Store store(data_dir());
    store.Open();
    PutMany(store, 0, 5);
  }
  std::string data_dir() const { return dir_.File("data"); }
  absl::Status OpenAndRestore() {
    Store store(data_dir());
    const absl::Status opened = store.TryOpen();
    return opened.ok() ? store.storage().Restore().status() : opened;
  }
  // As a snapshot will: the fence knows nothing of the log's new beginning, and no entry reaches
  // it, but the state does.
  void BeginLogAnewBeyondTheFence() {
    TrimLog(data_dir() + "/db", {.id = Apply7(), .stamp = raft::ClusterMillis(7)});
  }
  // A state that is two entries further than the log.
  raft::EntryId Apply7() {
    kv::AppliedState applied;
    applied.id = {raft::Term(1), raft::LogIndex(7)};
    OverwriteRow(data_dir() + "/db", "state.1", kAppliedKey, EncodeAppliedState(applied));
    return applied.id;
  }

  TempDir dir_;
};

TEST_F(MisfitTest, SoundStateIsRestored) { EXPECT_TRUE(OpenAndRestore().ok()); }

TEST_F(MisfitTest, HoleInTheLog) {
  OverwriteRow(data_dir() + "/db", kRaftLogFamily, EncodeLogKey(raft::LogIndex(3)), std::nullopt);
  EXPECT_EQ(OpenAndRestore().code(), absl::StatusCode::kDataLoss);
}

TEST_F(MisfitTest, LogStartsLate) {
  OverwriteRow(data_dir() + "/db", kRaftLogFamily, EncodeLogKey(raft::LogIndex(1)), std::nullopt);
  EXPECT_EQ(OpenAndRestore().code(), absl::StatusCode::kDataLoss);
}

TEST_F(MisfitTest, LogEndsBeforeTheAppliedEntry) {
  Apply7();
  const absl::Status status = OpenAndRestore();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("ends at index 5"));
}

TEST_F(MisfitTest, TermsGoBack) {
  std::string value;
  EncodeLogValue(NoOpEntry(2, /*term=*/9), &value);
  OverwriteRow(data_dir() + "/db", kRaftLogFamily, EncodeLogKey(raft::LogIndex(2)), value);
  EXPECT_EQ(OpenAndRestore().code(), absl::StatusCode::kDataLoss);
}

TEST_F(MisfitTest, AppliedEntryHasAnotherTerm) {
  kv::AppliedState applied;
  applied.id = {raft::Term(2), raft::LogIndex(5)};
  OverwriteRow(data_dir() + "/db", "state.1", kAppliedKey, EncodeAppliedState(applied));
  EXPECT_EQ(OpenAndRestore().code(), absl::StatusCode::kDataLoss);
}

TEST_F(MisfitTest, HardStateIsBehindTheLog) {
  OverwriteRow(data_dir() + "/db", kMetaFamily, kHardStateKey, EncodeHardState({}));
  EXPECT_EQ(OpenAndRestore().code(), absl::StatusCode::kDataLoss);
}

TEST_F(MisfitTest, GarbageInMeta) {
  OverwriteRow(data_dir() + "/db", "state.1", kAppliedKey, "\xff");
  EXPECT_EQ(OpenAndRestore().code(), absl::StatusCode::kDataLoss);
}

TEST_F(MisfitTest, AStateThatIsNotThere) {
  OverwriteRow(data_dir() + "/db", kMetaFamily, kGenerationKey, EncodeNumber(7));
  const absl::Status status = OpenAndRestore();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("state.7"));
}

TEST_F(MisfitTest, AStateOfNobody) {
  OverwriteRow(data_dir() + "/db", kMetaFamily, kGenerationKey, std::nullopt);
  EXPECT_EQ(OpenAndRestore().code(), absl::StatusCode::kDataLoss);
}

TEST_F(MisfitTest, AConfigurationOfAnotherCluster) {
  log::v1::ClusterConfiguration configuration;
  configuration.set_cluster_id(4711);
  OverwriteRow(data_dir() + "/db", "state.1", kConfigurationKey, configuration.SerializeAsString());
  const absl::Status status = OpenAndRestore();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("of cluster 4711"));
}

TEST_F(MisfitTest, ALogThatWasTrimmedBeginsWhereItSays) {
  TrimLog(data_dir() + "/db",
          {.id = {raft::Term(1), raft::LogIndex(3)}, .stamp = raft::ClusterMillis(7)});
  Store store(data_dir());
  store.Open();
  auto restored = store.storage().Restore();
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->previous.index, raft::LogIndex(3));
  EXPECT_EQ(restored->previous_stamp, raft::ClusterMillis(7));
  ASSERT_EQ(restored->tail.size(), 2u);
  EXPECT_EQ(restored->tail.front().id.index, raft::LogIndex(4));
}

TEST_F(MisfitTest, ALogThatBeginsAnewBeyondTheFence) {
  BeginLogAnewBeyondTheFence();
  EXPECT_EQ(OpenAndRestore(), absl::OkStatus());
  EXPECT_EQ(OpenAndRestore(), absl::OkStatus()) << "now the fence says so, too";
}

// What the fence recorded is found neither in the tables nor in the write-ahead log.
TEST_F(MisfitTest, ALogThatBeganAnewHasForgottenNothing) {
  BeginLogAnewBeyondTheFence();
  FlushAll(data_dir() + "/db");
  EXPECT_EQ(OpenAndRestore(), absl::OkStatus());
}

TEST_F(MisfitTest, ALogThatBeginsAfterTheAppliedEntry) {
  TrimLog(data_dir() + "/db", {.id = {raft::Term(1), raft::LogIndex(7)}, .stamp = {}});
  const absl::Status status = OpenAndRestore();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("begins after entry 7"));
}

TEST_F(MisfitTest, ALogThatBeginsInAnotherTermThanTheAppliedEntry) {
  TrimLog(data_dir() + "/db", {.id = {raft::Term(2), raft::LogIndex(5)}, .stamp = {}});
  EXPECT_EQ(OpenAndRestore().code(), absl::StatusCode::kDataLoss);
}

// What files of the log that were deleted leave behind.
TEST_F(MisfitTest, RowsBeforeTheLogsStartAreNotOfTheLog) {
  OverwriteRow(data_dir() + "/db", kMetaFamily, kLogStartKey,
               EncodeLogEdge({.id = {raft::Term(1), raft::LogIndex(3)}, .stamp = {}}));
  Store store(data_dir());
  store.Open();
  const absl::StatusOr<raft::RestoredState> restored = store.storage().Restore();
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_EQ(restored->previous.index, raft::LogIndex(3));
  EXPECT_EQ(restored->tail.size(), 2u);
}

TEST_F(MisfitTest, ALogThatBeginsAfterItsStart) {
  TrimLog(data_dir() + "/db", {.id = {raft::Term(1), raft::LogIndex(3)}, .stamp = {}});
  OverwriteRow(data_dir() + "/db", kMetaFamily, kLogStartKey,
               EncodeLogEdge({.id = {raft::Term(1), raft::LogIndex(2)}, .stamp = {}}));
  const absl::Status status = OpenAndRestore();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("begins at index 4, not after index 2"));
}

// What a crash may leave of a state that was being brought in, or of one that had been replaced.
TEST_F(MisfitTest, OtherStatesAreDropped) {
  AddGeneration(data_dir() + "/db", 2);
  ASSERT_THAT(ListFamilies(data_dir() + "/db"), testing::Contains("latest.2"));
  EXPECT_EQ(OpenAndRestore(), absl::OkStatus());
  EXPECT_THAT(ListFamilies(data_dir() + "/db"),
              testing::UnorderedElementsAre("default", "raft_log", "meta", "state.1", "latest.1",
                                            "ttl.1", "requests.1", "history.1", "leases.1"));
  EXPECT_TRUE(OpenAndRestore().ok());
}

TEST_F(MisfitTest, GarbageInTheLog) {
  OverwriteRow(data_dir() + "/db", kRaftLogFamily, EncodeLogKey(raft::LogIndex(5)), "");
  EXPECT_EQ(OpenAndRestore().code(), absl::StatusCode::kDataLoss);
}

TEST(RestoreTest, FreshDirectoryIsEmpty) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  const absl::StatusOr<raft::RestoredState> restored = store.storage().Restore();
  ASSERT_TRUE(restored.ok());
  EXPECT_EQ(restored->hard_state, raft::HardState());
  EXPECT_EQ(restored->applied, raft::EntryId());
  EXPECT_EQ(restored->previous, raft::EntryId());
  EXPECT_TRUE(restored->tail.empty());
  EXPECT_EQ(store.storage().restored_clock(), raft::ClusterReading());
}

TEST(RestoreTest, BringsBackTheNewestEntriesAndAllThatAreNotApplied) {
  TempDir dir;
  Store store(dir.File("data"));
  store.options().log_memory_bytes_max = 10'000;
  store.Open();
  PutMany(store, 0, 50);
  store.Reopen();
  absl::StatusOr<raft::RestoredState> restored = store.storage().Restore();
  ASSERT_TRUE(restored.ok());
  EXPECT_EQ(restored->applied.index, raft::LogIndex(50));
  ASSERT_FALSE(restored->tail.empty());
  EXPECT_LT(restored->tail.size(), 12u);
  EXPECT_EQ(restored->tail.back().id.index, raft::LogIndex(50));
  EXPECT_EQ(restored->previous.index.Next(), restored->tail.front().id.index);
  EXPECT_EQ(restored->previous.term, raft::Term(1));

  // Entries that are not applied come back whatever they weigh.
  std::vector<raft::Entry> unapplied;
  for (uint64_t index = 51; index <= 100; ++index) {
    unapplied.push_back(CommandEntry(index, {Put("k", std::string(1000, 'v'))}, 5000));
  }
  store.Append(unapplied);
  store.Reopen();
  restored = store.storage().Restore();
  ASSERT_TRUE(restored.ok());
  EXPECT_EQ(restored->previous.index, raft::LogIndex(50));
  EXPECT_EQ(restored->tail.size(), 50u);
  EXPECT_EQ(*restored->tail.front().payload, *unapplied.front().payload);
  EXPECT_EQ(store.storage().restored_clock().time, raft::ClusterMillis(5000));
}

TEST(RestoreTest, ClusterTimeIsTheLargestOfAllThatIsKnown) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  store.Run({Put("a", "1")}, /*stamp=*/2000);
  store.Reopen();
  EXPECT_EQ(store.storage().restored_clock(), Reading(1, 2000));
  store.storage().SaveClusterClock(Reading(1, 7000));
  store.Reopen();
  EXPECT_EQ(store.storage().restored_clock(), Reading(1, 7000));
  store.Append({CommandEntry(2, {Put("a", "2")}, 9000)});
  store.Reopen();
  EXPECT_EQ(store.storage().restored_clock(), Reading(1, 9000));
}

TEST(RestoreTest, ATimeSavedBeforeTheLogsLastLeaderIsForgotten) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  // This member ran for long before it heard of the leader of term 1, and crashed before it saved
  // its clock again.
  store.storage().SaveClusterClock(Reading(0, 60'000));
  store.Run({Put("a", "1")}, /*stamp=*/2000);
  store.Reopen();
  EXPECT_EQ(store.storage().restored_clock(), Reading(1, 2000));
}

TEST(RestoreTest, FoundingIsRemembered) {
  TempDir dir;
  Store store(dir.File("data"));
  store.Open();
  const uint64_t data_id = store.storage().data_id();
  EXPECT_NE(data_id, 0u);
  EXPECT_FALSE(store.storage().configuration().has_value());
  log::v1::ClusterConfiguration configuration;
  configuration.set_cluster_id(77);
  configuration.add_voters(2);
  store.storage().Found("n2", 2, configuration);
  store.Reopen();
  EXPECT_EQ(store.storage().data_id(), data_id);
  EXPECT_EQ(store.storage().member_name(), "n2");
  EXPECT_EQ(store.storage().member_id(), 2u);
  ASSERT_TRUE(store.storage().configuration().has_value());
  EXPECT_EQ(store.storage().configuration()->cluster_id(), 77u);
  EXPECT_DEATH(store.storage().Found("n3", 3, configuration), "founded already");
}

}  // namespace

void PutAndDie(const std::string& data_dir, int from, int to) {
  Store store(data_dir);
  store.Open();
  PutMany(store, from, to);
  _exit(0);
}

// The same with RocksDB's own threads kept busy, so that nothing is flushed.
void PutUnflushedAndDie(const std::string& data_dir, int from, int to) {
  Store store(data_dir);
  store.Open();
  for (const rocksdb::Env::Priority priority : {rocksdb::Env::HIGH, rocksdb::Env::LOW}) {
    rocksdb::Env::Default()->Schedule([](void*) { pause(); }, nullptr, priority);
  }
  PutMany(store, from, to);
  _exit(0);
}

// Appends until the disk takes no more, noting after each entry how many are durable. Files beyond
// the limit fail with EFBIG, as if the disk were full.
void FillDisk(const std::string& data_dir, const std::string& note) {
  Store store(data_dir);
  store.Open();
  signal(SIGXFSZ, SIG_IGN);
  const rlimit limit{.rlim_cur = 50'000, .rlim_max = RLIM_INFINITY};
  setrlimit(RLIMIT_FSIZE, &limit);
  for (uint64_t i = 1; i <= 1000; ++i) {
    store.Append({CommandEntry(i, {Put("key" + std::to_string(i - 1), std::string(1000, 'v'))})});
    integration::WriteFile(note, std::to_string(i));
  }
  _exit(0);
}

// Exits with 0 when every way of reading reports the corruption.
void ReadCorrupt(const std::string& data_dir) {
  Store store(data_dir);
  store.Open();
  const std::shared_ptr<const kv::KvView> view = store.machine().TakeView();
  const auto scan = view->Scan({.interval = {}, .keys_max = 1000, .bytes_max = 1 << 30});
  EXPECT_EQ(scan.status().code(), absl::StatusCode::kDataLoss) << scan.status();
  EXPECT_EQ(view->Count({}, nullptr).status().code(), absl::StatusCode::kDataLoss);
  int failed_gets = 0;
  for (int i = 0; i < 100; ++i) {
    failed_gets += view->Get("key" + std::to_string(1000 + i)).ok() ? 0 : 1;
  }
  EXPECT_GT(failed_gets, 0);
  EXPECT_EQ(store.storage().Restore().status().code(), absl::StatusCode::kDataLoss);
  _exit(testing::Test::HasFailure() ? 1 : 0);
}

}  // namespace raftkv::storage

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 4 && arguments[0] == raftkv::storage::kPutAndDie) {
    raftkv::storage::PutAndDie(arguments[1], std::stoi(arguments[2]), std::stoi(arguments[3]));
  }
  if (arguments.size() == 4 && arguments[0] == raftkv::storage::kPutUnflushedAndDie) {
    raftkv::storage::PutUnflushedAndDie(arguments[1], std::stoi(arguments[2]),
                                        std::stoi(arguments[3]));
  }
  if (arguments.size() == 3 && arguments[0] == raftkv::storage::kFillDisk) {
    raftkv::storage::FillDisk(arguments[1], arguments[2]);
  }
  if (arguments.size() == 2 && arguments[0] == raftkv::storage::kReadCorrupt) {
    raftkv::storage::ReadCorrupt(arguments[1]);
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
