// How the fence follows the log: before the report where a vote hangs on it, within its lag
// otherwise, and ahead of a cut. And what it refuses.
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/disk_failure.h"
#include "storage/durability_fence.h"
#include "storage/rocksdb_log_store.h"
#include "tests/storage/crash_lab.h"
#include "tests/storage/fault_file_system.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using Kind = DiskOperation::Kind;
using testing::AllOf;
using testing::HasSubstr;

namespace fs = std::filesystem;

// The name that the fence was made under.
constexpr char kFenceName[] = "FENCE.new";

class FenceFollowingTest : public testing::Test {
 protected:
  FenceFollowingTest()
      : files_(std::make_shared<FaultFileSystem>(MakeDisk(dir_.File("data")),
                                                 [this](const DiskOperation& operation) {
                                                   MutexLock lock(&mutex_);
                                                   operations_.push_back(operation);
                                                 })),
        env_(rocksdb::NewCompositeEnv(files_)),
        store_(dir_.File("data")) {
    store_.options().env = env_.get();
    store_.Open();
  }

  // What the newest record on the disk says, synced or not.
  FenceRecord Recorded() const {
    const FaultDisk disk = files_->disk();
    const auto fence = DurabilityFence::Open(std::make_shared<FaultFileSystem>(disk),
                                             dir_.File("data") + "/FENCE");
    EXPECT_TRUE(fence.ok()) << fence.status();
    return (*fence)->recorded();
  }
  // Waits until a record of the log up to there is not only noted.
  void AwaitFenced(uint64_t index) const {
    while (true) {
      const FaultDisk disk = files_->disk();
      const std::string& bytes = disk.Contents(*disk.Find(dir_.File("data") + "/FENCE"));
      for (const size_t at : {size_t{0}, kFenceSlotBytes}) {
        const auto slot = DecodeFenceSlot(absl::string_view(bytes).substr(at, kFenceSlotBytes));
        if (slot.has_value() && slot->record.durable.index == raft::LogIndex(index)) {
          return;
        }
      }
      std::this_thread::yield();
    }
  }

  // Entries of one term, with the hard state that goes with them.
  raft::LogWrite Entries(uint64_t first, uint64_t last, uint64_t term) {
    raft::LogWrite write;
    write.hard_state = raft::HardState{.term = raft::Term(term), .vote = raft::NodeId(1)};
    for (uint64_t index = first; index <= last; ++index) {
      write.entries.push_back(NoOpEntry(index, term));
    }
    return write;
  }

  // "write log", "sync log", "note 1/5", "sync fence" and so on, since the last call.
  std::vector<std::string> TakeStory() {
    MutexLock lock(&mutex_);
    const FaultDisk disk = files_->disk();
    std::vector<std::string> story;
    for (const DiskOperation& operation : std::exchange(operations_, {})) {
      if (operation.kind != Kind::kWrite && operation.kind != Kind::kSyncFile) {
        continue;
      }
      const std::string name = disk.NameOf(operation.node);
      const std::string what = name == kFenceName ? "fence" : "log";
      if (name != kFenceName && !absl::EndsWith(name, ".log")) {
        continue;
      }
      std::string line = (operation.kind == Kind::kWrite ? "write " : "sync ") + what;
      if (operation.kind == Kind::kWrite && what == "fence") {
        const raft::EntryId durable = DecodeFenceSlot(operation.bytes)->record.durable;
        line = operation.number == 2 * kFenceSlotBytes ? "note" : line;
        line += " " + std::to_string(durable.term.value()) + "/" +
                std::to_string(durable.index.value());
      }
      story.push_back(line);
    }
    return story;
  }

  TempDir dir_;
  Mutex mutex_;
  std::vector<DiskOperation> operations_ ABSL_GUARDED_BY(mutex_);
  const std::shared_ptr<FaultFileSystem> files_;
  const std::unique_ptr<rocksdb::Env> env_;
  Store store_;
};

TEST_F(FenceFollowingTest, TermAndVoteAreFencedWhenTheyAreReported) {
  store_.Write({Entries(1, 1, 1)});
  raft::LogWrite vote;
  vote.hard_state = raft::HardState{.term = raft::Term(2), .vote = raft::NodeId(3)};
  TakeStory();
  store_.Write({vote});
  EXPECT_EQ(Recorded().hard_state, *vote.hard_state);
  EXPECT_THAT(TakeStory(),
              testing::ElementsAre("write log", "sync log", "write fence 1/1", "sync fence"));
}

TEST_F(FenceFollowingTest, PlainAppendsHardlyEverSyncIt) {
  store_.Write({Entries(1, 1, 1)});
  const SystemMonotonicClock clock;
  const uint64_t before = files_->SyncsOf(kFenceName);
  const MonotonicNanos begin = clock.Now();
  constexpr uint64_t kAppends = 400;
  for (uint64_t index = 2; index < kAppends; ++index) {
    store_.Write({Entries(index, index, 1)});
  }
  const uint64_t syncs = files_->SyncsOf(kFenceName) - before;
  EXPECT_LE(syncs, static_cast<uint64_t>((clock.Now() - begin) / kFenceLagMax));
}

// What is reported as durable is known to the fence by then, so that a kill of the process right
// after it, and a bit that flips in the newest WAL before the next start, lose nothing unnoticed.
TEST_F(FenceFollowingTest, PlainAppendsAreNotedBeforeTheyAreReported) {
  store_.Write({Entries(1, 1, 1)});
  AwaitFenced(1);
  TakeStory();
  store_.Write({Entries(2, 3, 1)});
  const std::vector<std::string> story = TakeStory();
  ASSERT_GE(story.size(), 3U);
  EXPECT_THAT(std::vector<std::string>(story.begin(), story.begin() + 3),
              testing::ElementsAre("write log", "sync log", "note 1/3"));
  EXPECT_EQ(Recorded().durable, (raft::EntryId{raft::Term(1), raft::LogIndex(3)}));
}

TEST_F(FenceFollowingTest, ItFollowsWithoutAnotherWrite) {
  store_.Write({Entries(1, 1, 1)});
  store_.Write({Entries(2, 9, 1)});
  AwaitFenced(9);
  EXPECT_EQ(Recorded().durable.term, raft::Term(1));
}

TEST_F(FenceFollowingTest, TheEndBringsItUp) {
  store_.Write({Entries(1, 1, 1)});
  store_.Write({Entries(2, 9, 1)});
  store_.Close();
  EXPECT_EQ(Recorded().durable.index, raft::LogIndex(9));
}

TEST_F(FenceFollowingTest, ItIsLoweredBeforeAConflictingEndIsCut) {
  store_.Write({Entries(1, 9, 1)});
  AwaitFenced(9);
  TakeStory();
  store_.Write({Entries(6, 7, 2)});
  EXPECT_THAT(TakeStory(), testing::ElementsAre("write fence 1/5", "sync fence", "write log",
                                                "sync log", "write fence 2/7", "sync fence"));
}

TEST_F(FenceFollowingTest, SeveralWritesAtOnceLowerItToTheDeepestCut) {
  store_.Write({Entries(1, 9, 1)});
  AwaitFenced(9);
  TakeStory();
  store_.Write({Entries(10, 11, 1), Entries(8, 8, 2), Entries(5, 5, 3)});
  const std::vector<std::string> story = TakeStory();
  // The log thread may take them in up to three portions; whichever, no cut comes first.
  EXPECT_THAT(story, testing::Contains("write fence 1/4"));
  EXPECT_EQ(story.back(), "sync fence");
  EXPECT_EQ(Recorded().durable, (raft::EntryId{raft::Term(3), raft::LogIndex(5)}));
}

TEST_F(FenceFollowingTest, TheWholeLogMayBeCut) {
  store_.Write({Entries(1, 3, 1)});
  AwaitFenced(3);
  TakeStory();
  store_.Write({Entries(1, 1, 2)});
  EXPECT_EQ(TakeStory().front(), "write fence 0/0");
  store_.Reopen();
  EXPECT_EQ(Recorded().durable, (raft::EntryId{raft::Term(2), raft::LogIndex(1)}));
}

TEST_F(FenceFollowingTest, FoundingIsFenced) {
  log::v1::ClusterConfiguration configuration;
  configuration.set_cluster_id(77);
  EXPECT_EQ(Recorded().cluster_id, 0U);
  store_.storage().Found("n2", 2, configuration);
  EXPECT_EQ(Recorded().cluster_id, 77U);
  EXPECT_EQ(Recorded().member_id, 2U);
}

// Real files from here on.
class LostDataTest : public testing::Test {
 protected:
  LostDataTest() {
    Store store(data_dir());
    store.Open();
    for (uint64_t i = 1; i <= 5; ++i) {
      store.Run({Put("key" + std::to_string(i), "v")});
    }
  }

  std::string data_dir() const { return dir_.File("data"); }
  std::string File(const std::string& name) const { return data_dir() + "/" + name; }

  void ExpectRefused(const std::vector<std::string>& mentioned) {
    Store store(data_dir());
    const absl::Status status = store.TryOpen();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(kRemedy));
    for (const std::string& word : mentioned) {
      EXPECT_THAT(std::string(status.message()), HasSubstr(word));
    }
  }
  void ExpectWhole(size_t keys) {
    Store store(data_dir());
    store.Open();
    EXPECT_EQ(store.Records().size(), keys);
    EXPECT_TRUE(store.storage().Restore().ok());
  }

  TempDir dir_;
};

TEST_F(LostDataTest, DeletedWalIsRefusedAndMayBePutBack) {
  const std::vector<std::string> logs = FilesWithSuffix(File("db"), ".log");
  ASSERT_FALSE(logs.empty());
  fs::rename(logs.back(), dir_.File("kept"));
  for (int start = 0; start < 2; ++start) {
    ExpectRefused({"db"});
  }
  fs::rename(dir_.File("kept"), logs.back());
  ExpectWhole(5);
}

TEST_F(LostDataTest, WalThatIsCutBelowWhatWasSyncedIsRefused) {
  const std::string log = FilesWithSuffix(File("db"), ".log").back();
  fs::copy_file(log, dir_.File("kept"));
  fs::resize_file(log, fs::file_size(log) / 2);
  ExpectRefused({"FENCE recorded term 1", "the log up to entry 5 of term 1", "the database has"});
  fs::copy_file(dir_.File("kept"), log, fs::copy_options::overwrite_existing);
  ExpectWhole(5);
}

// A bit in the length of the last record makes it look as if a crash had torn it. No 100 ms after
// the write, as after a kill of the process.
TEST_F(LostDataTest, FlippedBitInTheNewestWalIsRefusedAtOnce) {
  const std::string copy = dir_.File("killed");
  Store store(data_dir());
  store.Open();
  const std::string log = FilesWithSuffix(File("db"), ".log").back();
  const uintmax_t before = fs::file_size(log);
  store.Append({NoOpEntry(6)});
  fs::copy(data_dir(), copy, fs::copy_options::recursive);
  const std::string copied = copy + "/db" + log.substr(log.rfind('/'));
  ASSERT_GT(fs::file_size(copied), before);
  std::string bytes = integration::ReadFile(copied);
  const size_t length_high_byte = before + 5;
  bytes[length_high_byte] = static_cast<char>(bytes[length_high_byte] ^ 0x80);
  integration::WriteFile(copied, bytes);
  Store killed(copy);
  const absl::Status status = killed.TryOpen();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
  EXPECT_THAT(std::string(status.message()),
              AllOf(HasSubstr("the log up to entry 6"), HasSubstr(kRemedy)));
}

TEST_F(LostDataTest, OlderCopyOfTheDatabaseIsRefused) {
  fs::copy(File("db"), dir_.File("older"), fs::copy_options::recursive);
  {
    Store store(data_dir());
    store.Open();
    store.Run({Put("later", "v")});
  }
  fs::rename(File("db"), dir_.File("newer"));
  fs::rename(dir_.File("older"), File("db"));
  ExpectRefused({});
  fs::rename(File("db"), dir_.File("older"));
  fs::rename(dir_.File("newer"), File("db"));
  ExpectWhole(6);
}

TEST_F(LostDataTest, DatabaseOfAnotherMemberIsRefused) {
  Store other(dir_.File("other"));
  other.Open();
  other.Close();
  fs::rename(File("db"), dir_.File("own"));
  fs::rename(dir_.File("other") + "/db", File("db"));
  ExpectRefused({"different directories"});
}

}  // namespace
}  // namespace raftkv::storage
