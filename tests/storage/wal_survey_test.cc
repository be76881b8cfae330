#include "storage/wal_survey.h"

#include <set>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "rocksdb/comparator.h"
#include "rocksdb/db.h"
#include "storage/disk_failure.h"
#include "storage/key_layout.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using Option = rocksdb::WalFilter::WalProcessingOption;
using testing::AllOf;
using testing::HasSubstr;

constexpr uint32_t kLog = 1;
constexpr uint32_t kMeta = 2;

// A column family that is known by its number only.
class NumberedFamily final : public rocksdb::ColumnFamilyHandle {
 public:
  explicit NumberedFamily(uint32_t id) : id_(id) {}
  const std::string& GetName() const override { return name_; }
  uint32_t GetID() const override { return id_; }
  rocksdb::Status GetDescriptor(rocksdb::ColumnFamilyDescriptor*) override {
    return rocksdb::Status::NotSupported();
  }
  const rocksdb::Comparator* GetComparator() const override {
    return rocksdb::BytewiseComparator();
  }

 private:
  const uint32_t id_;
  const std::string name_;
};

class WalSurveyTest : public testing::Test {
 protected:
  // Of `raft_log`, `meta` and one more family: the file from which on each is not in tables.
  void SetFamilies(uint64_t raft_log, uint64_t meta, uint64_t other) {
    survey_.ColumnFamilyLogNumberMap(
        {{0, other}, {kLog, raft_log}, {kMeta, meta}},
        {{"default", 0}, {kRaftLogFamily, kLog}, {kMetaFamily, kMeta}});
  }

  static rocksdb::WriteBatch At(uint64_t sequence, const rocksdb::WriteBatch& batch) {
    std::string bytes = batch.Data();
    for (size_t i = 0; i < 8; ++i) {
      bytes[i] = static_cast<char>(sequence >> (8 * i));
    }
    return rocksdb::WriteBatch(bytes);
  }
  Option Feed(uint64_t file, const rocksdb::WriteBatch& batch) {
    rocksdb::WriteBatch unused;
    bool changed = false;
    const Option option = survey_.LogRecordFound(file, "", batch, &unused, &changed);
    EXPECT_FALSE(changed);
    return option;
  }
  // `count` changes of some other family.
  Option Feed(uint64_t file, uint64_t sequence, int count) {
    rocksdb::WriteBatch batch;
    for (int i = 0; i < count; ++i) {
      EXPECT_TRUE(batch.Put(&other_, "k", "v").ok());
    }
    return Feed(file, At(sequence, batch));
  }
  void PutEntry(const raft::Entry& entry, rocksdb::WriteBatch* batch) {
    std::string value;
    EncodeLogValue(entry, &value);
    EXPECT_TRUE(batch->Put(&log_, EncodeLogKey(entry.id.index), value).ok());
  }

  // The message, empty when all is well.
  std::string Finish(const TableFacts& tables, uint64_t first_wal,
                     const std::set<uint64_t>& present) {
    const absl::Status status = survey_.Finish("/db", tables, first_wal, present);
    EXPECT_TRUE(status.ok() || absl::IsDataLoss(status)) << status;
    EXPECT_TRUE(status.ok() || status.message().find(kRemedy) != absl::string_view::npos) << status;
    return std::string(status.message());
  }

  WalSurvey survey_{raft::LogIndex(7)};
  NumberedFamily log_{kLog};
  NumberedFamily meta_{kMeta};
  NumberedFamily other_{0};
};

TEST_F(WalSurveyTest, WholeFilesPass) {
  SetFamilies(20, 10, 10);
  EXPECT_EQ(Feed(12, 101, 3), Option::kIgnoreCurrentRecord);
  EXPECT_EQ(Feed(12, 104, 1), Option::kIgnoreCurrentRecord);
  EXPECT_EQ(Feed(20, 105, 2), Option::kIgnoreCurrentRecord);
  EXPECT_EQ(Finish({.newest_sequence = 104, .oldest_wal = 10}, /*first_wal=*/12, {12, 20}), "");
}

TEST_F(WalSurveyTest, DeletedFirstFileIsMissed) {
  SetFamilies(20, 10, 10);
  EXPECT_EQ(Feed(20, 105, 2), Option::kIgnoreCurrentRecord);
  EXPECT_THAT(Finish({.newest_sequence = 104, .oldest_wal = 10}, 12, {20}),
              AllOf(HasSubstr("/db/000012.log"), HasSubstr("is missing")));
}

TEST_F(WalSurveyTest, EmptiedFirstFileIsMissed) {
  SetFamilies(20, 10, 10);
  EXPECT_EQ(Feed(20, 105, 2), Option::kIgnoreCurrentRecord);
  EXPECT_THAT(Finish({.newest_sequence = 104, .oldest_wal = 10}, 12, {12, 20}),
              AllOf(HasSubstr("/db/000012.log"), HasSubstr("lost its beginning")));
}

TEST_F(WalSurveyTest, FirstFileThatIsNotNeededAnyMoreIsNotMissed) {
  SetFamilies(20, 20, 20);
  EXPECT_EQ(Feed(20, 105, 2), Option::kIgnoreCurrentRecord);
  EXPECT_EQ(Finish({.newest_sequence = 104, .oldest_wal = 20}, 12, {20}), "");
}

TEST_F(WalSurveyTest, LaterFileThatIsStillNeededIsMissed) {
  SetFamilies(30, 20, 20);
  EXPECT_EQ(Feed(30, 205, 2), Option::kIgnoreCurrentRecord);
  EXPECT_THAT(Finish({.newest_sequence = 204, .oldest_wal = 20}, 12, {30}),
              HasSubstr("/db/000020.log"));
}

// An opening puts everything into tables and names the next file for all families, and a crash may
// come before the fence knows of it.
TEST_F(WalSurveyTest, FilesOfTheOpeningBeforeAreNotMissed) {
  SetFamilies(31, 31, 31);
  EXPECT_EQ(Finish({.newest_sequence = 204, .oldest_wal = 5}, /*first_wal=*/12, {33}), "");
}

TEST_F(WalSurveyTest, EndThatIsCutInASyncedFileIsMissed) {
  SetFamilies(20, 10, 10);
  EXPECT_EQ(Feed(12, 101, 2), Option::kIgnoreCurrentRecord);
  EXPECT_EQ(Feed(20, 105, 2), Option::kStopReplay);
  EXPECT_THAT(Finish({.newest_sequence = 102, .oldest_wal = 10}, 12, {12, 20}),
              AllOf(HasSubstr("from number 103 on"), HasSubstr("000020.log")));
}

TEST_F(WalSurveyTest, EndThatIsCutBelowTheTablesIsMissed) {
  SetFamilies(20, 10, 10);
  EXPECT_EQ(Feed(12, 101, 2), Option::kIgnoreCurrentRecord);
  EXPECT_THAT(Finish({.newest_sequence = 104, .oldest_wal = 10}, 12, {12, 20}),
              HasSubstr("the tables go up to number 104"));
}

TEST_F(WalSurveyTest, EndThatAPowerCutTookPasses) {
  SetFamilies(10, 10, 10);
  EXPECT_EQ(Feed(12, 101, 2), Option::kIgnoreCurrentRecord);
  EXPECT_EQ(Feed(20, 105, 2), Option::kStopReplay);
  EXPECT_EQ(Finish({.newest_sequence = 100, .oldest_wal = 10}, 12, {12, 20}), "");
}

TEST_F(WalSurveyTest, SequenceThatGoesBackIsCorrupted) {
  SetFamilies(10, 10, 10);
  EXPECT_EQ(Feed(12, 101, 2), Option::kIgnoreCurrentRecord);
  EXPECT_EQ(Feed(12, 102, 2), Option::kCorruptedRecord);
}

TEST_F(WalSurveyTest, NoFileAtAllIsDamage) {
  EXPECT_THAT(Finish({.newest_sequence = 100, .oldest_wal = 10}, 12, {}), HasSubstr("no write"));
}

TEST_F(WalSurveyTest, SeesWhatTheReplayWillBring) {
  SetFamilies(10, 10, 10);
  rocksdb::WriteBatch first;
  PutEntry(NoOpEntry(7, 1), &first);
  PutEntry(NoOpEntry(8, 1), &first);
  ASSERT_TRUE(first.Put(&meta_, kHardStateKey, "old").ok());
  rocksdb::WriteBatch second;
  ASSERT_TRUE(second.Put(&meta_, kHardStateKey, "new").ok());
  PutEntry(NoOpEntry(6, 2), &second);
  PutEntry(NoOpEntry(7, 3), &second);
  ASSERT_TRUE(second.Delete(&log_, EncodeLogKey(raft::LogIndex(8))).ok());
  EXPECT_EQ(Feed(12, At(101, first)), Option::kIgnoreCurrentRecord);
  EXPECT_EQ(Feed(12, At(104, second)), Option::kIgnoreCurrentRecord);
  ASSERT_EQ(Finish({.newest_sequence = 100, .oldest_wal = 10}, 12, {12}), "");
  EXPECT_EQ(survey_.meta().at(kHardStateKey), "new");
  EXPECT_EQ(survey_.last_entry()->index, raft::LogIndex(7));
  EXPECT_EQ(survey_.last_entry()->term, raft::Term(3));
  EXPECT_EQ(survey_.fenced_term(), raft::Term(3));
}

TEST_F(WalSurveyTest, ForgetsWhatTheReplayWillDrop) {
  SetFamilies(10, 10, 10);
  rocksdb::WriteBatch batch;
  PutEntry(NoOpEntry(7, 1), &batch);
  ASSERT_TRUE(batch.Put(&meta_, kHardStateKey, "new").ok());
  EXPECT_EQ(Feed(12, At(110, batch)), Option::kIgnoreCurrentRecord);
  ASSERT_EQ(Finish({.newest_sequence = 100, .oldest_wal = 10}, 12, {12}), "");
  EXPECT_TRUE(survey_.meta().empty());
  EXPECT_FALSE(survey_.last_entry().has_value());
  EXPECT_FALSE(survey_.fenced_term().has_value());
}

TEST_F(WalSurveyTest, NonsenseInTheLogIsCorrupted) {
  SetFamilies(10, 10, 10);
  rocksdb::WriteBatch batch;
  ASSERT_TRUE(batch.Put(&log_, "k", "v").ok());
  EXPECT_EQ(Feed(12, At(101, batch)), Option::kCorruptedRecord);
}

// A state was staged while a file was being written that is not synced to its end. It is nobody's.
TEST_F(WalSurveyTest, FamiliesOfAStagedStateProveNothingOfOlderFiles) {
  survey_.ColumnFamilyLogNumberMap({{0, 10}, {kLog, 10}, {kMeta, 10}, {7, 10}, {8, 20}},
                                   {{"default", 0},
                                    {kRaftLogFamily, kLog},
                                    {kMetaFamily, kMeta},
                                    {"latest.1", 7},
                                    {"latest.2", 8}});
  EXPECT_EQ(Feed(12, 101, 2), Option::kIgnoreCurrentRecord);
  EXPECT_EQ(Feed(20, 109, 2), Option::kStopReplay);
  EXPECT_EQ(Finish({.newest_sequence = 100, .oldest_wal = 10, .generation = 1}, 12, {12, 20}), "");
}

// Once it is the member's, the switch was synced, and so was all before it.
TEST_F(WalSurveyTest, FamiliesOfTheMembersStateDo) {
  survey_.ColumnFamilyLogNumberMap(
      {{0, 10}, {kLog, 10}, {kMeta, 10}, {8, 20}},
      {{"default", 0}, {kRaftLogFamily, kLog}, {kMetaFamily, kMeta}, {"latest.2", 8}});
  EXPECT_EQ(Feed(12, 101, 2), Option::kIgnoreCurrentRecord);
  EXPECT_EQ(Feed(20, 109, 2), Option::kStopReplay);
  EXPECT_THAT(Finish({.newest_sequence = 100, .oldest_wal = 10, .generation = 2}, 12, {12, 20}),
              HasSubstr("lost changes that were synced"));
}

class WalSurveyOfTrimsTest : public WalSurveyTest {
 protected:
  WalSurveyOfTrimsTest() {
    SetFamilies(10, 10, 10);
    rocksdb::WriteBatch entries;
    PutEntry(NoOpEntry(7, 1), &entries);
    PutEntry(NoOpEntry(8, 1), &entries);
    EXPECT_EQ(Feed(12, At(101, entries)), Option::kIgnoreCurrentRecord);
  }

  Option FeedTrim(uint64_t sequence, const std::string& first, const std::string& kept) {
    rocksdb::WriteBatch batch;
    EXPECT_TRUE(batch.DeleteRange(&log_, first, kept).ok());
    return Feed(12, At(sequence, batch));
  }
  Option FeedTrim(uint64_t first, uint64_t kept) {
    return FeedTrim(103, EncodeLogKey(raft::LogIndex(first)), EncodeLogKey(raft::LogIndex(kept)));
  }
  void ExpectSound() {
    EXPECT_EQ(Finish({.newest_sequence = 100, .oldest_wal = 10}, 12, {12}), "");
  }
};

TEST_F(WalSurveyOfTrimsTest, ATrimLeavesTheEnd) {
  EXPECT_EQ(FeedTrim(1, 7), Option::kIgnoreCurrentRecord);
  ExpectSound();
  EXPECT_EQ(survey_.last_entry()->index, raft::LogIndex(8));
  EXPECT_EQ(survey_.fenced_term(), raft::Term(1));
  EXPECT_EQ(survey_.deleted_before(), raft::LogIndex(7));
}

TEST_F(WalSurveyOfTrimsTest, WhatIsTrimmedIsNotThere) {
  EXPECT_EQ(FeedTrim(1, 8), Option::kIgnoreCurrentRecord);
  ExpectSound();
  EXPECT_EQ(survey_.last_entry()->index, raft::LogIndex(8));
  EXPECT_EQ(survey_.fenced_term(), WalSurvey::kNoTerm);
}

// As a snapshot that takes the place of the log does.
TEST_F(WalSurveyOfTrimsTest, ALogThatBeginsAnewHasNoOldEnd) {
  EXPECT_EQ(FeedTrim(3, 9), Option::kIgnoreCurrentRecord);
  ExpectSound();
  EXPECT_FALSE(survey_.last_entry().has_value());
  EXPECT_TRUE(survey_.empties_log());
  EXPECT_EQ(survey_.fenced_term(), WalSurvey::kNoTerm);
  EXPECT_EQ(survey_.deleted_before(), raft::LogIndex(9));
}

// Entries 7 and 8 give way to another 6, and a snapshot takes the place of all up to that.
TEST_F(WalSurveyOfTrimsTest, ACutEndIsNotThere) {
  rocksdb::WriteBatch cut;
  PutEntry(NoOpEntry(6, 2), &cut);
  for (const uint64_t index : {7, 8}) {
    EXPECT_TRUE(cut.Delete(&log_, EncodeLogKey(raft::LogIndex(index))).ok());
  }
  EXPECT_EQ(Feed(12, At(103, cut)), Option::kIgnoreCurrentRecord);
  EXPECT_EQ(FeedTrim(106, EncodeLogKey(raft::LogIndex(3)), EncodeLogKey(raft::LogIndex(7))),
            Option::kIgnoreCurrentRecord);
  ExpectSound();
  EXPECT_FALSE(survey_.last_entry().has_value());
  EXPECT_TRUE(survey_.empties_log());
  EXPECT_EQ(survey_.fenced_term(), WalSurvey::kNoTerm);
}

TEST_F(WalSurveyOfTrimsTest, ALogThatBeganAnewGoesOn) {
  EXPECT_EQ(FeedTrim(3, 9), Option::kIgnoreCurrentRecord);
  rocksdb::WriteBatch next;
  PutEntry(NoOpEntry(7, 2), &next);
  EXPECT_EQ(Feed(12, At(104, next)), Option::kIgnoreCurrentRecord);
  ExpectSound();
  EXPECT_EQ(survey_.last_entry()->index, raft::LogIndex(7));
  EXPECT_FALSE(survey_.empties_log());
  EXPECT_EQ(survey_.fenced_term(), raft::Term(2));
}

TEST_F(WalSurveyOfTrimsTest, NonsenseIsCorrupted) {
  EXPECT_EQ(FeedTrim(103, "1", "2"), Option::kCorruptedRecord);
}

}  // namespace
}  // namespace raftkv::storage
