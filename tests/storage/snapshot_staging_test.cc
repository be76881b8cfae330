#include "storage/snapshot_staging.h"

#include <algorithm>
#include <future>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "rocksdb/transaction_log.h"
#include "storage/key_layout.h"
#include "tests/support/temp_dir.h"

namespace raftkv::storage {
namespace {

constexpr uint64_t kOldGeneration = 3;

class SnapshotStagingTest : public testing::Test {
 protected:
  SnapshotStagingTest() : pool_(/*threads=*/1, /*tasks_max=*/8) {
    rocksdb::Options options;
    options.create_if_missing = true;
    rocksdb::DB* db = nullptr;
    EXPECT_TRUE(rocksdb::DB::Open(options, dir_.File("db"), &db).ok());
    db_.reset(db);
    std::vector<std::string> names = GenerationFamilies(kOldGeneration);
    names.insert(names.end(), {kRaftLogFamily, kMetaFamily});
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    EXPECT_TRUE(db_->CreateColumnFamilies(options, names, &handles).ok());
    families_ = {.db = db,
                 .raft_log = handles[kGenerationFamilies],
                 .meta = handles[kGenerationFamilies + 1]};
    handles.resize(kGenerationFamilies);
    old_ = *Generation::Take(db, kOldGeneration, &handles);
    staging_ = std::make_unique<SnapshotStaging>(families_, dir_.File("db.staging"),
                                                 /*free_bytes_min=*/0, kOldGeneration + 1, &pool_);
  }
  ~SnapshotStagingTest() override {
    pool_.Stop();
    old_.reset();
    db_->DestroyColumnFamilyHandle(families_.raft_log).PermitUncheckedError();
    db_->DestroyColumnFamilyHandle(families_.meta).PermitUncheckedError();
  }

  void Put(rocksdb::ColumnFamilyHandle* family, int rows) {
    for (int i = 0; i < rows; ++i) {
      ASSERT_TRUE(db_->Put(rocksdb::WriteOptions(), family, std::to_string(i), "v").ok());
    }
  }
  void Flush(rocksdb::ColumnFamilyHandle* family) {
    ASSERT_TRUE(db_->Flush(rocksdb::FlushOptions(), family).ok());
  }
  // Until the pool has done what it was given.
  void AwaitPool() {
    std::promise<void> done;
    ASSERT_TRUE(pool_.Submit(WorkerPool::Length::kLong, [&done] { done.set_value(); }));
    done.get_future().wait();
  }
  // Of all tables.
  uint64_t NewestSequence() {
    std::vector<rocksdb::LiveFileMetaData> tables;
    db_->GetLiveFilesMetaData(&tables);
    uint64_t newest = 0;
    for (const rocksdb::LiveFileMetaData& table : tables) {
      newest = std::max<uint64_t>(newest, table.largest_seqno);
    }
    return newest;
  }
  // Where the write-ahead logs that are left begin, if they hold anything.
  uint64_t FirstSequenceInLogs() {
    rocksdb::VectorLogPtr files;
    EXPECT_TRUE(db_->GetSortedWalFiles(files).ok());
    for (const auto& file : files) {
      if (file->Type() == rocksdb::kAliveLogFile && file->SizeFileBytes() > 0) {
        return file->StartSequence();
      }
    }
    return 0;
  }

  integration::TempDir dir_;
  WorkerPool pool_;
  std::unique_ptr<rocksdb::DB> db_;
  OwnFamilies families_;
  std::shared_ptr<const Generation> old_;
  std::unique_ptr<SnapshotStaging> staging_;
};

// A replay would stop at one (wal_gap_filter.h), and lose that there is another state.
TEST_F(SnapshotStagingTest, ADroppedStateLeavesNoHoleBeforeTheWriteAheadLog) {
  Put(families_.meta, 1);
  Put(families_.raft_log, 100);
  Put(old_->state, 100);
  Flush(families_.meta);  // Begins another write-ahead log.
  Put(families_.meta, 1);
  ASSERT_TRUE(db_->SyncWAL().ok());
  staging_->DropLater(old_);
  AwaitPool();
  Flush(families_.raft_log);  // The first write-ahead log is not needed any more.
  EXPECT_LE(FirstSequenceInLogs(), NewestSequence() + 1);
}

}  // namespace
}  // namespace raftkv::storage
