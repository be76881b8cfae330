#include "tests/storage/fault_disk.h"

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/storage/fault_file_system.h"

namespace raftkv::storage {
namespace {

using Kind = DiskOperation::Kind;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

constexpr int kSeeds = 300;

class FaultDiskTest : public testing::Test {
 protected:
  NodeNumber Create(const std::string& path) {
    disk_.Apply(DiskOperation::OnPath(Kind::kCreateFile, path));
    return *disk_.Find(path);
  }
  void Write(NodeNumber file, uint64_t offset, const std::string& bytes) {
    disk_.Apply(DiskOperation::OnNode(Kind::kWrite, file, offset, bytes));
  }
  void Sync(NodeNumber file) { disk_.Apply(DiskOperation::OnNode(Kind::kSyncFile, file)); }
  void SyncRoot() { disk_.Apply(DiskOperation::OnNode(Kind::kSyncDirectory, kRootNode)); }
  void Rename(const std::string& from, const std::string& to) {
    disk_.Apply(DiskOperation::OnPath(Kind::kRename, from, to));
  }
  void Delete(const std::string& path) { disk_.Apply(DiskOperation::OnPath(Kind::kDelete, path)); }

  // What a file may hold after a crash, over many seeds; "(none)" when it is gone.
  std::set<std::string> Left(Survival survival, const std::string& path) const {
    std::set<std::string> contents;
    for (int seed = 0; seed < kSeeds; ++seed) {
      Rng rng(static_cast<uint64_t>(seed));
      const FaultDisk left = disk_.AfterCrash(survival, &rng);
      const std::optional<NodeNumber> file = left.Find(path);
      contents.insert(file.has_value() ? left.Contents(*file) : "(none)");
    }
    return contents;
  }
  // The names that may be there after a crash.
  std::set<std::vector<std::string>> LeftNames(Survival survival) const {
    std::set<std::vector<std::string>> lists;
    for (int seed = 0; seed < kSeeds; ++seed) {
      Rng rng(static_cast<uint64_t>(seed));
      lists.insert(disk_.AfterCrash(survival, &rng).Files(""));
    }
    return lists;
  }

  FaultDisk disk_;
};

TEST_F(FaultDiskTest, SyncedBytesStayAndTheRestIsCutAnywhere) {
  const NodeNumber file = Create("/a");
  SyncRoot();
  Write(file, 0, "12");
  Sync(file);
  Write(file, 2, "34");
  Write(file, 4, "5");
  EXPECT_EQ(disk_.Contents(file), "12345");
  EXPECT_THAT(Left(Survival::kEverything, "/a"), ElementsAre("12345"));
  EXPECT_THAT(Left(Survival::kSynced, "/a"), ElementsAre("12"));
  EXPECT_THAT(Left(Survival::kCut, "/a"), ElementsAre("12", "123", "1234", "12345"));
  EXPECT_THAT(disk_.Unsynced(), ElementsAre("a"));
}

TEST_F(FaultDiskTest, FilesLoseTheirEndsIndependently) {
  const NodeNumber a = Create("/a");
  const NodeNumber b = Create("/b");
  SyncRoot();
  Write(a, 0, "x");
  Write(b, 0, "y");
  std::set<std::string> pairs;
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    Rng rng(seed);
    const FaultDisk left = disk_.AfterCrash(Survival::kCut, &rng);
    pairs.insert(left.Contents(a) + left.Contents(b));
  }
  EXPECT_THAT(pairs, UnorderedElementsAre("", "x", "y", "xy"));
}

TEST_F(FaultDiskTest, TornBytesAreOnlyThoseThatWereUnderWay) {
  const NodeNumber file = Create("/a");
  SyncRoot();
  Write(file, 0, std::string(600, 's'));
  Sync(file);
  Write(file, 600, std::string(2000, 'u'));
  size_t spoiled = 0;
  for (const std::string& left : Left(Survival::kTorn, "/a")) {
    EXPECT_EQ(left.substr(0, 600), std::string(600, 's'));
    spoiled += left.find_first_not_of('u', 600) != std::string::npos ? 1 : 0;
  }
  EXPECT_GT(spoiled, 0U);
}

TEST_F(FaultDiskTest, OverwrittenBytesAreOldOrNew) {
  const NodeNumber file = Create("/a");
  SyncRoot();
  Write(file, 0, "aaaa");
  Sync(file);
  Write(file, 1, "bb");
  EXPECT_THAT(Left(Survival::kCut, "/a"), ElementsAre("aaaa", "abaa", "abba"));
}

TEST_F(FaultDiskTest, TruncationIsUndoneUnlessSynced) {
  const NodeNumber file = Create("/a");
  SyncRoot();
  Write(file, 0, "aaaa");
  Sync(file);
  disk_.Apply(DiskOperation::OnNode(Kind::kTruncate, file, 1));
  EXPECT_THAT(Left(Survival::kCut, "/a"), ElementsAre("a", "aaaa"));
  Sync(file);
  EXPECT_THAT(Left(Survival::kSynced, "/a"), ElementsAre("a"));
}

TEST_F(FaultDiskTest, NewNamesVanishUnlessTheDirectoryIsSynced) {
  const NodeNumber file = Create("/a");
  Write(file, 0, "x");
  Sync(file);
  EXPECT_THAT(Left(Survival::kSynced, "/a"), ElementsAre("(none)"));
  EXPECT_THAT(Left(Survival::kCut, "/a"), ElementsAre("(none)", "x"));
  SyncRoot();
  EXPECT_THAT(Left(Survival::kCut, "/a"), ElementsAre("x"));
}

TEST_F(FaultDiskTest, NamesComeInOrderButThatOfASyncedFileMayComeEarly) {
  Create("/a");
  Create("/b");
  using Names = std::vector<std::string>;
  EXPECT_THAT(LeftNames(Survival::kCut), ElementsAre(Names{}, Names{"/a"}, Names{"/a", "/b"}));
  Sync(*disk_.Find("/b"));
  EXPECT_THAT(LeftNames(Survival::kCut),
              ElementsAre(Names{}, Names{"/a"}, Names{"/a", "/b"}, Names{"/b"}));
}

TEST_F(FaultDiskTest, RenamesAreUndoneWhole) {
  Write(Create("/a"), 0, "old");
  Write(Create("/b"), 0, "new");
  disk_.SyncAll();
  Rename("/b", "/a");
  using Names = std::vector<std::string>;
  EXPECT_THAT(LeftNames(Survival::kCut), ElementsAre(Names{"/a"}, Names{"/a", "/b"}));
  EXPECT_THAT(Left(Survival::kSynced, "/a"), ElementsAre("old"));
  EXPECT_THAT(Left(Survival::kEverything, "/a"), ElementsAre("new"));
}

TEST_F(FaultDiskTest, DeletedFilesMayComeBack) {
  Write(Create("/a"), 0, "x");
  disk_.SyncAll();
  Delete("/a");
  EXPECT_FALSE(disk_.Find("/a").has_value());
  EXPECT_THAT(Left(Survival::kCut, "/a"), ElementsAre("(none)", "x"));
  // Also when the power goes after the process.
  Rng rng(1);
  disk_ = disk_.AfterCrash(Survival::kEverything, &rng);
  EXPECT_THAT(Left(Survival::kSynced, "/a"), ElementsAre("x"));
}

TEST_F(FaultDiskTest, OperationsSurviveEncoding) {
  std::string bytes;
  EncodeOperation(DiskOperation::OnNode(Kind::kWrite, 7, 9, std::string("\0x", 2)), &bytes);
  EncodeOperation(DiskOperation::OnPath(Kind::kRename, "/a", "/b"), &bytes);
  const size_t whole = bytes.size();
  EncodeOperation(DiskOperation::NewMark("m", 3), &bytes);
  const std::vector<DiskOperation> all = DecodeOperations(bytes);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].bytes, std::string("\0x", 2));
  EXPECT_EQ(all[0].node, 7U);
  EXPECT_EQ(all[0].number, 9U);
  EXPECT_EQ(all[1].bytes, "/b");
  EXPECT_EQ(all[2].path, "m");
  EXPECT_EQ(DecodeOperations(bytes.substr(0, whole + 5)).size(), 2U);
}

TEST(FaultFileSystemTest, FailsTheOneOperationAndHalfOfAWriteIsThere) {
  for (const DiskError error : {DiskError::kIo, DiskError::kNoSpace}) {
    FaultFileSystem files(FaultDisk(), nullptr, DiskFault{.operation = 1, .error = error});
    std::unique_ptr<rocksdb::FSWritableFile> file;
    const rocksdb::IOOptions options;
    ASSERT_TRUE(files.NewWritableFile("/a", rocksdb::FileOptions(), &file, nullptr).ok());
    const rocksdb::IOStatus failed = file->Append("1234", options, nullptr);
    EXPECT_EQ(failed.IsNoSpace(), error == DiskError::kNoSpace) << failed.ToString();
    EXPECT_TRUE(failed.IsIOError()) << failed.ToString();
    EXPECT_TRUE(file->Append("5", options, nullptr).ok());
    const FaultDisk disk = files.disk();
    EXPECT_EQ(disk.Contents(*disk.Find("/a")).substr(0, 2), "12");
  }
}

}  // namespace
}  // namespace raftkv::storage
