#include "storage/durability_fence.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/disk_failure.h"
#include "tests/storage/fault_file_system.h"

namespace raftkv::storage {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kPath[] = "/data/FENCE";

raft::EntryId Id(uint64_t term, uint64_t index) {
  return {.term = raft::Term(term), .index = raft::LogIndex(index)};
}

FenceRecord MakeRecord(uint64_t index) {
  return {.data_id = 11,
          .cluster_id = 12,
          .member_id = 2,
          .hard_state = {.term = raft::Term(5), .vote = raft::NodeId(3)},
          .durable = Id(4, index),
          .first_wal = 9};
}

ManifestRecord MakeManifest(uint64_t bytes) {
  return {.current = {.number = 7, .bytes = bytes, .hash = 21},
          .before = {.number = 5, .bytes = 90, .hash = 22}};
}

FaultDisk EmptyDisk() {
  FaultDisk disk;
  disk.Apply(DiskOperation::OnPath(DiskOperation::Kind::kCreateDirectory, "/data"));
  disk.SyncAll();
  return disk;
}

class DurabilityFenceTest : public testing::Test {
 protected:
  DurabilityFenceTest() : files_(std::make_shared<FaultFileSystem>(EmptyDisk())) {}

  std::unique_ptr<DurabilityFence> Create(const FenceRecord& record) {
    auto fence = DurabilityFence::Create(files_, kPath, record, MakeManifest(1));
    EXPECT_TRUE(fence.ok()) << fence.status();
    return *std::move(fence);
  }
  // What a start finds on a disk.
  static absl::StatusOr<FenceRecord> Read(const FaultDisk& disk) {
    auto fence = DurabilityFence::Open(std::make_shared<FaultFileSystem>(disk), kPath);
    if (!fence.ok()) {
      return fence.status();
    }
    return (*fence)->recorded();
  }
  // The file with something done to it.
  FaultDisk With(const std::function<void(std::string*)>& change) const {
    FaultDisk disk = files_->disk();
    std::string bytes = disk.Contents(*disk.Find(kPath));
    change(&bytes);
    disk.Damage(*disk.Find(kPath), bytes);
    return disk;
  }

  std::shared_ptr<FaultFileSystem> files_;
};

TEST_F(DurabilityFenceTest, SlotsAreDecodedAsTheyWereEncoded) {
  const std::string bytes = EncodeFenceSlot(77, MakeRecord(8));
  EXPECT_LE(bytes.size(), kFenceSlotBytes);
  const std::optional<FenceSlot> slot = DecodeFenceSlot(bytes);
  ASSERT_TRUE(slot.has_value());
  EXPECT_EQ(slot->sequence, 77U);
  EXPECT_EQ(slot->record, MakeRecord(8));

  const std::string manifest = EncodeManifestSlot(78, MakeManifest(8));
  const std::optional<ManifestSlot> manifest_slot = DecodeManifestSlot(manifest);
  ASSERT_TRUE(manifest_slot.has_value());
  EXPECT_EQ(manifest_slot->sequence, 78U);
  EXPECT_EQ(manifest_slot->record, MakeManifest(8));
  EXPECT_FALSE(DecodeManifestSlot(bytes).has_value());
  EXPECT_FALSE(DecodeFenceSlot(manifest).has_value());
}

// Whether a slot's bytes, spoiled, still decode.
template <typename Slot>
void ExpectNoFlipUnnoticed(const std::string& bytes,
                           std::optional<Slot> (*decode)(absl::string_view)) {
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(decode(flipped).has_value()) << bit;
  }
  EXPECT_FALSE(decode("").has_value());
  EXPECT_FALSE(decode(bytes.substr(0, bytes.size() - 1)).has_value());
  EXPECT_FALSE(decode(std::string(kFenceSlotBytes, '\0')).has_value());
}

TEST_F(DurabilityFenceTest, NoFlippedBitGoesUnnoticed) {
  ExpectNoFlipUnnoticed(EncodeFenceSlot(77, MakeRecord(8)), DecodeFenceSlot);
  ExpectNoFlipUnnoticed(EncodeManifestSlot(77, MakeManifest(8)), DecodeManifestSlot);
}

TEST_F(DurabilityFenceTest, KeepsTheNewestRecord) {
  const std::unique_ptr<DurabilityFence> fence = Create(MakeRecord(1));
  EXPECT_EQ(fence->recorded(), MakeRecord(1));
  for (uint64_t index = 2; index < 7; ++index) {
    fence->Record(MakeRecord(index));
    EXPECT_EQ(*Read(files_->disk()), MakeRecord(index));
  }
  fence->RecordProgress({.term = raft::Term(6), .vote = raft::kNobody}, Id(6, 3));
  fence->RecordMember(99, 1);
  FenceRecord expected = MakeRecord(3);
  expected.cluster_id = 99;
  expected.member_id = 1;
  expected.hard_state = {.term = raft::Term(6), .vote = raft::kNobody};
  expected.durable = Id(6, 3);
  EXPECT_EQ(*Read(files_->disk()), expected);
}

TEST_F(DurabilityFenceTest, OneSyncForAChangeAndNoneWithoutOne) {
  const std::unique_ptr<DurabilityFence> fence = Create(MakeRecord(1));
  const uint64_t before = files_->SyncsOf("FENCE.new");
  fence->Record(MakeRecord(1));
  EXPECT_EQ(files_->SyncsOf("FENCE.new"), before);
  fence->Record(MakeRecord(2));
  EXPECT_EQ(files_->SyncsOf("FENCE.new"), before + 1);
}

// Whatever a power cut makes of a write, the record before it is still there.
TEST_F(DurabilityFenceTest, TornWritesLeaveTheRecordBefore) {
  std::vector<DiskOperation> operations;
  files_ = std::make_shared<FaultFileSystem>(
      EmptyDisk(), [&](const DiskOperation& operation) { operations.push_back(operation); });
  const std::unique_ptr<DurabilityFence> fence = Create(MakeRecord(1));
  const size_t created = operations.size();
  for (uint64_t index = 2; index < 12; ++index) {
    fence->Record(MakeRecord(index));
  }
  FaultDisk disk = EmptyDisk();
  uint64_t synced = 1;
  uint64_t torn = 0;
  for (size_t i = 0; i < operations.size(); ++i) {
    disk.Apply(operations[i]);
    if (i < created) {
      continue;
    }
    synced += operations[i].kind == DiskOperation::Kind::kSyncFile ? 1 : 0;
    for (uint64_t seed = 0; seed < 50; ++seed) {
      Rng rng(seed);
      const absl::StatusOr<FenceRecord> left = Read(disk.AfterCrash(Survival::kTorn, &rng));
      ASSERT_TRUE(left.ok()) << left.status();
      ASSERT_GE(left->durable.index.value(), synced);
      ASSERT_LE(left->durable.index.value(), synced + 1);
      torn += left->durable.index.value() == synced ? 1 : 0;
    }
  }
  EXPECT_GT(torn, 0U);
}

// What was only noted may go with the power, and takes nothing else with it.
TEST_F(DurabilityFenceTest, NotedRecordsAreThereAfterAKillAndNeverInTheWay) {
  const std::unique_ptr<DurabilityFence> fence = Create(MakeRecord(1));
  const auto note = [&fence](uint64_t index) {
    fence->NoteProgress(MakeRecord(index).hard_state, MakeRecord(index).durable);
  };
  const uint64_t before = files_->SyncsOf("FENCE.new");
  uint64_t synced = 1;
  for (uint64_t index = 2; index < 40; ++index) {
    if (index % 5 == 0) {
      fence->Record(MakeRecord(index));
      synced = index;
    } else {
      note(index);
    }
    EXPECT_EQ(*Read(files_->disk()), MakeRecord(index));
    for (uint64_t seed = 0; seed < 50; ++seed) {
      Rng rng(seed);
      const absl::StatusOr<FenceRecord> left =
          Read(files_->disk().AfterCrash(Survival::kTorn, &rng));
      ASSERT_TRUE(left.ok()) << left.status();
      ASSERT_TRUE(left->durable.index.value() == synced || left->durable.index.value() == index);
    }
  }
  EXPECT_EQ(files_->SyncsOf("FENCE.new"), before + 7);

  // A lower record, synced, counts against one that was only noted.
  fence->Record(MakeRecord(3));
  EXPECT_EQ(*Read(files_->disk()), MakeRecord(3));
  // And what was noted becomes durable by being recorded.
  note(9);
  fence->Record(MakeRecord(9));
  Rng rng(1);
  EXPECT_EQ(*Read(files_->disk().AfterCrash(Survival::kSynced, &rng)), MakeRecord(9));
}

TEST_F(DurabilityFenceTest, TornManifestRecordsLeaveTheOneBefore) {
  const std::unique_ptr<DurabilityFence> fence = Create(MakeRecord(1));
  EXPECT_EQ(fence->manifest(), MakeManifest(1));
  for (uint64_t bytes = 2; bytes < 12; ++bytes) {
    const FaultDisk before = files_->disk();
    fence->RecordManifest(MakeManifest(bytes));
    Rng rng(bytes);
    const FaultDisk left = files_->disk().AfterCrash(Survival::kSynced, &rng);
    auto opened = DurabilityFence::Open(std::make_shared<FaultFileSystem>(left), kPath);
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ((*opened)->manifest(), MakeManifest(bytes));
    EXPECT_EQ((*opened)->recorded(), MakeRecord(1));
    // The newest spoiled, the one before counts.
    const FaultDisk spoiled = With([bytes](std::string* file) {
      // Numbered from 1, which Create wrote.
      (*file)[(3 + bytes % 2) * kFenceSlotBytes + 30] ^= 1;
    });
    opened = DurabilityFence::Open(std::make_shared<FaultFileSystem>(spoiled), kPath);
    ASSERT_TRUE(opened.ok());
    EXPECT_EQ((*opened)->manifest(), MakeManifest(bytes - 1));
  }
}

TEST_F(DurabilityFenceTest, OneDamagedSlotIsSurvived) {
  const std::unique_ptr<DurabilityFence> fence = Create(MakeRecord(1));
  fence->Record(MakeRecord(2));
  const auto spoil = [](size_t slot) {
    return [slot](std::string* bytes) { (*bytes)[slot * kFenceSlotBytes + 20] ^= 1; };
  };
  const FaultDisk first = With(spoil(0));
  const FaultDisk second = With(spoil(1));
  EXPECT_EQ(*Read(first), MakeRecord(1));
  EXPECT_EQ(*Read(second), MakeRecord(2));

  // The next record takes the damaged one's place.
  auto files = std::make_shared<FaultFileSystem>(first);
  auto reopened = DurabilityFence::Open(files, kPath);
  ASSERT_TRUE(reopened.ok());
  (*reopened)->Record(MakeRecord(3));
  EXPECT_EQ(*Read(files->disk()), MakeRecord(3));
}

TEST_F(DurabilityFenceTest, WhatNoCrashLeavesIsDataLoss) {
  const std::unique_ptr<DurabilityFence> fence = Create(MakeRecord(1));
  const auto both = [](std::string* bytes) {
    (*bytes)[20] ^= 1;
    (*bytes)[kFenceSlotBytes + 20] ^= 1;
  };
  const auto half = [](std::string* bytes) { bytes->resize(kFenceSlotBytes); };
  const auto swapped = [](std::string* bytes) {
    *bytes = bytes->substr(kFenceSlotBytes) + bytes->substr(0, kFenceSlotBytes);
  };
  for (const std::function<void(std::string*)>& change :
       {std::function<void(std::string*)>(both), std::function<void(std::string*)>(half),
        std::function<void(std::string*)>(swapped)}) {
    const absl::Status status = Read(With(change)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(kPath), HasSubstr(kRemedy)));
  }
  const absl::Status missing = Read(EmptyDisk()).status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kDataLoss) << missing;
  EXPECT_THAT(std::string(missing.message()), AllOf(HasSubstr(kPath), HasSubstr(kRemedy)));
}

TEST(DurabilityFenceDeathTest, FailedWriteAborts) {
  for (const uint64_t operation : {0, 1}) {
    EXPECT_EXIT(
        {
          auto sound = std::make_shared<FaultFileSystem>(EmptyDisk());
          auto created = DurabilityFence::Create(sound, kPath, MakeRecord(1), MakeManifest(1));
          auto files = std::make_shared<FaultFileSystem>(sound->disk(), nullptr,
                                                         DiskFault{.operation = operation});
          auto fence = DurabilityFence::Open(files, kPath);
          (*fence)->Record(MakeRecord(2));
        },
        testing::KilledBySignal(SIGABRT), "stopping: could not write /data/FENCE");
  }
}

class CheckNothingLostTest : public testing::Test {
 protected:
  // The message, empty when nothing is lost.
  std::string Check(std::optional<uint64_t> term_at_durable = 4) {
    std::optional<raft::Term> term;
    if (term_at_durable.has_value()) {
      term = raft::Term(*term_at_durable);
    }
    const absl::Status status = CheckNothingLost(kPath, recorded_, database_, term);
    EXPECT_TRUE(status.ok() || absl::IsDataLoss(status)) << status;
    return std::string(status.message());
  }

  FenceRecord recorded_ = MakeRecord(8);
  FenceRecord database_ = MakeRecord(8);
};

TEST_F(CheckNothingLostTest, SameOrFurtherIsFine) {
  EXPECT_EQ(Check(), "");
  database_.durable = Id(5, 9);
  EXPECT_EQ(Check(), "");
  database_.hard_state = {.term = raft::Term(6), .vote = raft::kNobody};
  database_.first_wal = 20;
  EXPECT_EQ(Check(), "");
}

TEST_F(CheckNothingLostTest, FenceMayBeBehind) {
  recorded_.cluster_id = 0;
  recorded_.member_id = 0;
  recorded_.hard_state.vote = raft::kNobody;
  EXPECT_EQ(Check(), "") << "a vote that is not in the fence yet";
  recorded_.hard_state = {};
  recorded_.durable = {};
  EXPECT_EQ(Check(std::nullopt), "");
}

TEST_F(CheckNothingLostTest, LostEntriesSayWhatWasThereAndWhatIs) {
  database_.durable = Id(4, 6);
  EXPECT_THAT(Check(std::nullopt),
              AllOf(HasSubstr("/data/FENCE recorded term 5, a vote for member 3 and the log up to "
                              "entry 8 of term 4"),
                    HasSubstr("the database has term 5, a vote for member 3 and the log up to "
                              "entry 6 of term 4"),
                    HasSubstr(kRemedy), HasSubstr("keep this member stopped")));
}

TEST_F(CheckNothingLostTest, OtherEntryInItsPlace) {
  database_.durable = Id(4, 12);
  EXPECT_THAT(Check(3), HasSubstr("has lost"));
}

TEST_F(CheckNothingLostTest, ForgottenTermOrVote) {
  database_.hard_state = {.term = raft::Term(4), .vote = raft::NodeId(3)};
  EXPECT_THAT(Check(), HasSubstr("the database has term 4"));
  database_.hard_state = {.term = raft::Term(5), .vote = raft::kNobody};
  EXPECT_THAT(Check(), HasSubstr("the database has term 5, no vote"));
  database_.hard_state = {.term = raft::Term(5), .vote = raft::NodeId(1)};
  EXPECT_THAT(Check(), HasSubstr("the database has term 5, a vote for member 1"));
}

TEST_F(CheckNothingLostTest, AnotherDatabase) {
  database_.data_id = 12;
  EXPECT_THAT(Check(), HasSubstr("different directories"));
  database_ = MakeRecord(8);
  database_.cluster_id = 0;
  database_.member_id = 0;
  EXPECT_THAT(Check(), HasSubstr("member 2 of cluster 12,"));
}

}  // namespace
}  // namespace raftkv::storage
