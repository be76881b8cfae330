#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/key_layout.h"
#include "tests/storage/store_fixture.h"

namespace raftkv::storage {
namespace {

using integration::ReadFile;
using integration::WriteFile;
using testing::AllOf;
using testing::HasSubstr;

namespace fs = std::filesystem;

class DataDirectoryTest : public testing::Test {
 protected:
  std::string path() const { return dir_.File("data"); }
  std::string File(const std::string& name) const { return path() + "/" + name; }

  // Opens, expects success, closes; returns the data id.
  uint64_t OpenOnce() {
    Store store(path());
    const absl::Status status = store.TryOpen();
    EXPECT_TRUE(status.ok()) << status;
    return status.ok() ? store.storage().data_id() : 0;
  }
  void ExpectRefused(absl::StatusCode code, const testing::Matcher<std::string>& message) {
    Store store(path());
    const absl::Status status = store.TryOpen();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_THAT(std::string(status.message()), message);
  }

  TempDir dir_;
};

TEST_F(DataDirectoryTest, IsMadeForItsOwnerOnly) {
  const uint64_t data_id = OpenOnce();
  struct stat status;
  ASSERT_EQ(stat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  EXPECT_EQ(ReadFile(File("FORMAT")), "raftkv 4\n");
  EXPECT_TRUE(fs::exists(File("FENCE")));
  EXPECT_FALSE(fs::exists(File("db/LOG"))) << "on a full disk it would end the process";
  EXPECT_EQ(OpenOnce(), data_id);
}

// A crash between the fence and FORMAT.
TEST_F(DataDirectoryTest, FenceCountsBeforeTheDirectoryIsComplete) {
  const uint64_t data_id = OpenOnce();
  fs::remove(File("FORMAT"));
  EXPECT_EQ(OpenOnce(), data_id);
  fs::remove(File("FORMAT"));
  WriteFile(File("FENCE"), "half");
  ExpectRefused(absl::StatusCode::kDataLoss, HasSubstr("FENCE is corrupted"));
}

TEST_F(DataDirectoryTest, MissingFenceIsDataLoss) {
  OpenOnce();
  fs::remove(File("FENCE"));
  ExpectRefused(absl::StatusCode::kDataLoss, HasSubstr("FENCE is missing"));
}

TEST_F(DataDirectoryTest, ADifferingOneIsNeverOpenedAgain) {
  {
    Store store(path());
    store.Open();
    const absl::Status marked = store.storage().MarkDiffering("its state after entry 17 is wrong");
    EXPECT_TRUE(marked.ok()) << marked;
  }
  EXPECT_EQ(ReadFile(File("DIFFERS")), "its state after entry 17 is wrong\n");
  for (int start = 0; start < 2; ++start) {
    ExpectRefused(absl::StatusCode::kDataLoss,
                  AllOf(HasSubstr(File("DIFFERS")), HasSubstr("after entry 17"),
                        HasSubstr("Keep this directory"), HasSubstr("until it can be replaced")));
  }
}

TEST_F(DataDirectoryTest, ThatOfARemovedMemberIsNeverOpenedAgain) {
  {
    Store store(path());
    store.Open();
    const absl::Status marked = store.storage().MarkRemoved("member 3 was removed");
    EXPECT_TRUE(marked.ok()) << marked;
  }
  for (int start = 0; start < 2; ++start) {
    ExpectRefused(absl::StatusCode::kFailedPrecondition,
                  AllOf(HasSubstr(File("REMOVED")), HasSubstr("member 3 was removed")));
  }
}

TEST_F(DataDirectoryTest, EachHasItsOwnDataId) {
  const uint64_t first = OpenOnce();
  fs::remove_all(path());
  EXPECT_NE(OpenOnce(), first);
}

TEST_F(DataDirectoryTest, LostAndFoundDoesNotCount) {
  fs::create_directories(File("lost+found"));
  EXPECT_NE(OpenOnce(), 0u);
}

TEST_F(DataDirectoryTest, SecondProcessIsRefusedByPid) {
  Store first(path());
  first.Open();
  ExpectRefused(
      absl::StatusCode::kFailedPrecondition,
      AllOf(HasSubstr("in use by another process"), HasSubstr("pid " + std::to_string(getpid()))));
  first.Close();
  OpenOnce();
}

TEST_F(DataDirectoryTest, OtherFormatVersionIsRefusedNamingBoth) {
  OpenOnce();
  for (const std::string other : {"3", "5"}) {
    WriteFile(File("FORMAT"), "raftkv " + other + "\n");
    ExpectRefused(
        absl::StatusCode::kFailedPrecondition,
        AllOf(HasSubstr("version " + other), HasSubstr("version 4"), HasSubstr("FORMAT")));
  }
}

TEST_F(DataDirectoryTest, GarbageInFormatIsDataLoss) {
  OpenOnce();
  WriteFile(File("FORMAT"), "");
  ExpectRefused(absl::StatusCode::kDataLoss, HasSubstr("FORMAT"));
}

TEST_F(DataDirectoryTest, ForeignDirectoryIsLeftAlone) {
  fs::create_directories(path());
  WriteFile(File("thesis.tex"), "x");
  ExpectRefused(absl::StatusCode::kFailedPrecondition, HasSubstr("thesis.tex"));
  EXPECT_FALSE(fs::exists(File("LOCK")));
  EXPECT_FALSE(fs::exists(File("db")));
}

TEST_F(DataDirectoryTest, ForeignDatabaseIsLeftAlone) {
  fs::create_directories(File("db"));
  ExpectRefused(absl::StatusCode::kFailedPrecondition, HasSubstr("not a raftkv data directory"));
  EXPECT_TRUE(fs::exists(File("db")));
}

TEST_F(DataDirectoryTest, FileInItsPlaceIsRefused) {
  WriteFile(path(), "x");
  ExpectRefused(absl::StatusCode::kFailedPrecondition, HasSubstr("not a directory"));
}

TEST_F(DataDirectoryTest, MissingParentIsRefused) {
  Store store(dir_.File("absent/data"));
  EXPECT_EQ(store.TryOpen().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DataDirectoryTest, MissingDatabaseIsDataLoss) {
  OpenOnce();
  fs::remove_all(File("db"));
  ExpectRefused(absl::StatusCode::kDataLoss, HasSubstr("CURRENT"));
}

TEST_F(DataDirectoryTest, MissingCurrentFileIsDataLoss) {
  OpenOnce();
  fs::remove(File("db/CURRENT"));
  ExpectRefused(absl::StatusCode::kDataLoss, HasSubstr("CURRENT"));
}

TEST_F(DataDirectoryTest, TornManifestIsDataLoss) {
  OpenOnce();
  for (const auto& entry : fs::directory_iterator(File("db"))) {
    if (entry.path().filename().string().rfind("MANIFEST", 0) == 0) {
      WriteFile(entry.path().string(), "garbage that is no manifest");
    }
  }
  ExpectRefused(absl::StatusCode::kDataLoss, HasSubstr("MANIFEST"));
}

// What a crash after each step of the creation leaves behind.
TEST_F(DataDirectoryTest, CreationIsFinishedAfterACrashBetweenAnyTwoSteps) {
  // Step 1.
  fs::create_directories(path());
  EXPECT_NE(OpenOnce(), 0u);

  // Step 2.
  fs::remove_all(path());
  fs::create_directories(path());
  WriteFile(File("LOCK"), "");
  EXPECT_NE(OpenOnce(), 0u);

  // In step 3.
  fs::remove_all(path());
  fs::create_directories(File("db.new"));
  WriteFile(File("LOCK"), "");
  WriteFile(File("db.new/MANIFEST-000001"), "half");
  EXPECT_NE(OpenOnce(), 0u);
  EXPECT_FALSE(fs::exists(File("db.new")));

  // After step 3.
  const uint64_t made_first = OpenOnce();
  fs::rename(File("db"), File("db.new"));
  fs::remove(File("FORMAT"));
  fs::remove(File("FENCE"));
  EXPECT_NE(OpenOnce(), made_first) << "a database that was not in use yet is made anew";

  // After step 4, and within step 5.
  const uint64_t data_id = OpenOnce();
  fs::remove(File("FORMAT"));
  fs::remove(File("FENCE"));
  EXPECT_EQ(OpenOnce(), data_id);
  fs::remove(File("FORMAT"));
  fs::rename(File("FENCE"), File("FENCE.new"));
  EXPECT_EQ(OpenOnce(), data_id);

  // After step 5, and within step 6.
  fs::remove(File("FORMAT"));
  EXPECT_EQ(OpenOnce(), data_id);
  fs::rename(File("FORMAT"), File("FORMAT.new"));
  EXPECT_EQ(OpenOnce(), data_id);
  EXPECT_EQ(ReadFile(File("FORMAT")), "raftkv 4\n");
}

TEST_F(DataDirectoryTest, DiskBytesCountsAllFiles) {
  Store store(path());
  store.Open();
  int64_t expected = 0;
  for (const auto& entry : fs::recursive_directory_iterator(path())) {
    expected += entry.is_regular_file() ? static_cast<int64_t>(entry.file_size()) : 0;
  }
  EXPECT_EQ(store.storage().DiskBytes(), expected);
  EXPECT_GT(expected, 0);
}

}  // namespace
}  // namespace raftkv::storage
