#include "storage/manifest_watch.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "rocksdb/db.h"
#include "storage/rocksdb_options.h"
#include "tests/support/temp_dir.h"

namespace raftkv::storage {
namespace {

using integration::TempDir;

// Tells when CURRENT is about to name another MANIFEST, and when it has.
class CurrentObserver final : public rocksdb::FileSystemWrapper {
 public:
  CurrentObserver(std::shared_ptr<rocksdb::FileSystem> files, std::function<void()> look)
      : FileSystemWrapper(std::move(files)), look_(std::move(look)) {}

  const char* Name() const override { return "CurrentObserver"; }

  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to,
                               const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override {
    const bool current = absl::EndsWith(to, "/CURRENT");
    if (current) {
      look_();
    }
    rocksdb::IOStatus status = FileSystemWrapper::RenameFile(from, to, options, dbg);
    if (current) {
      look_();
    }
    return status;
  }

 private:
  const std::function<void()> look_;
};

// A start hashes all of it.
TEST(ManifestWatchTest, AManifestIsRolledBeforeItGrowsLarge) {
  EXPECT_LE(
      MakeDbOptions(StorageOptions(), DatabaseMemory(StorageOptions()), /*wal_filter=*/nullptr)
          .max_manifest_file_size,
      64u << 20);
}

TEST(ManifestWatchTest, TheFenceFollowsAManifestThatIsRolled) {
  const TempDir dir;
  const std::string path = dir.File("db");
  const std::string fence_path = dir.File("FENCE");
  const std::shared_ptr<rocksdb::FileSystem> files = rocksdb::FileSystem::Default();
  std::unique_ptr<DurabilityFence> fence;
  int looks = 0;
  const auto look = [&] {
    if (fence != nullptr) {
      const auto mark = CheckManifest(files.get(), path, fence_path, fence->manifest());
      EXPECT_TRUE(mark.ok()) << mark.status();
      ++looks;
    }
  };
  const auto watch = std::make_shared<ManifestWatch>(std::make_shared<CurrentObserver>(files, look),
                                                     ManifestMark(), /*fence=*/nullptr);
  const std::unique_ptr<rocksdb::Env> env = rocksdb::NewCompositeEnv(watch);

  rocksdb::DBOptions options =
      MakeDbOptions(StorageOptions(), DatabaseMemory(StorageOptions()), /*wal_filter=*/nullptr);
  options.env = env.get();
  options.create_if_missing = true;
  options.create_missing_column_families = true;
  options.max_manifest_file_size = 1;  // Each change to it begins a new one.
  std::vector<rocksdb::ColumnFamilyHandle*> handles;
  rocksdb::DB* raw = nullptr;
  const rocksdb::Status opened =
      rocksdb::DB::Open(options, path,
                        MakeColumnFamilies(StorageOptions(), DatabaseMemory(StorageOptions()),
                                           {rocksdb::kDefaultColumnFamilyName}),
                        &handles, &raw);
  ASSERT_TRUE(opened.ok()) << opened.ToString();
  const std::unique_ptr<rocksdb::DB> db(raw);
  auto created = DurabilityFence::Create(files, fence_path, FenceRecord(), watch->record());
  ASSERT_TRUE(created.ok()) << created.status();
  fence = *std::move(created);
  watch->SetFence(fence.get());

  // Fewer than begin a compaction.
  constexpr int kFlushes = 3;
  for (int i = 0; i < kFlushes; ++i) {
    const uint64_t number = fence->manifest().current.number;
    ASSERT_TRUE(db->Put(rocksdb::WriteOptions(), std::to_string(i), "v").ok());
    ASSERT_TRUE(db->Flush(rocksdb::FlushOptions()).ok());
    look();
    EXPECT_GT(fence->manifest().current.number, number);
  }
  EXPECT_EQ(looks, 3 * kFlushes);
  for (rocksdb::ColumnFamilyHandle* handle : handles) {
    EXPECT_TRUE(db->DestroyColumnFamilyHandle(handle).ok());
  }
}

}  // namespace
}  // namespace raftkv::storage
