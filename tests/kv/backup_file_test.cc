#include "kv/backup_file.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/temp_dir.h"

namespace raftkv::kv {
namespace {

class BackupFileTest : public testing::Test {
 protected:
  static std::string MakeBackup(const std::vector<std::string>& chunks) {
    v1::BackupManifest manifest;
    manifest.set_revision(12);
    BackupEncoder encoder;
    std::string bytes = encoder.Begin(manifest);
    for (const std::string& chunk : chunks) {
      bytes += encoder.AddChunk(chunk);
    }
    return bytes + encoder.End();
  }

  // All chunks, or what is wrong.
  absl::StatusOr<std::vector<std::string>> ReadBack(const std::string& bytes) {
    integration::WriteFile(path_, bytes);
    absl::StatusOr<BackupReader> reader = BackupReader::Open(path_);
    if (!reader.ok()) {
      return reader.status();
    }
    EXPECT_EQ(reader->manifest().revision(), 12);
    std::vector<std::string> chunks;
    while (true) {
      absl::StatusOr<std::optional<std::string>> chunk = reader->ReadChunk();
      if (!chunk.ok()) {
        return chunk.status();
      }
      if (!chunk->has_value()) {
        EXPECT_EQ(reader->bytes(), bytes.size());
        checksum_ = reader->checksum();
        return chunks;
      }
      chunks.push_back(**chunk);
    }
  }

  integration::TempDir dir_;
  const std::string path_ = dir_.File("backup");
  uint64_t checksum_ = 0;
};

TEST_F(BackupFileTest, ComesBackAsItWas) {
  const std::vector<std::string> chunks = {"one", "", std::string(300'000, 'x')};
  const auto read = ReadBack(MakeBackup(chunks));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, chunks);
}

TEST_F(BackupFileTest, TheChecksumStandsForTheWholeFile) {
  ASSERT_TRUE(ReadBack(MakeBackup({"one", "two"})).ok());
  const uint64_t first = checksum_;
  ASSERT_TRUE(ReadBack(MakeBackup({"one", "two"})).ok());
  EXPECT_EQ(checksum_, first);
  ASSERT_TRUE(ReadBack(MakeBackup({"two", "one"})).ok());
  EXPECT_NE(checksum_, first);
}

TEST_F(BackupFileTest, EveryShorterFileIsRefused) {
  const std::string bytes = MakeBackup({"one", "two"});
  for (size_t size = 0; size < bytes.size(); ++size) {
    const auto read = ReadBack(bytes.substr(0, size));
    EXPECT_FALSE(read.ok()) << size;
    EXPECT_TRUE(absl::StrContains(read.status().message(), path_)) << read.status();
    if (size > 20) {
      EXPECT_TRUE(absl::IsDataLoss(read.status())) << read.status();
      EXPECT_TRUE(absl::StrContains(read.status().message(), "is cut short")) << read.status();
    }
  }
}

TEST_F(BackupFileTest, EveryFlippedBitIsNoticed) {
  const std::string bytes = MakeBackup({"one", "two"});
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    std::string flipped = bytes;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ (1 << i % 8));
    EXPECT_FALSE(ReadBack(flipped).ok()) << "bit " << i;
  }
}

TEST_F(BackupFileTest, NothingMayFollowTheEnd) {
  const auto read = ReadBack(MakeBackup({"one"}) + "x");
  EXPECT_TRUE(absl::IsDataLoss(read.status())) << read.status();
}

TEST_F(BackupFileTest, FramesOfAnotherBackupDoNotFit) {
  const std::string one = MakeBackup({"one"});
  const std::string two = MakeBackup({"two"});
  ASSERT_EQ(one.size(), two.size());
  // The end of another backup.
  EXPECT_FALSE(ReadBack(one.substr(0, one.size() - 13) + two.substr(two.size() - 13)).ok());
}

TEST_F(BackupFileTest, ANewerFormatIsNamed) {
  std::string bytes = MakeBackup({"one"});
  bytes.replace(bytes.find("1\n"), 1, "2");
  const auto read = ReadBack(bytes);
  EXPECT_TRUE(absl::IsFailedPrecondition(read.status())) << read.status();
  EXPECT_TRUE(absl::StrContains(read.status().message(), "format version 2")) << read.status();
}

TEST_F(BackupFileTest, WhatIsNoBackupIsCalledSo) {
  for (const char* bytes : {"", "raft", "something else altogether"}) {
    const auto read = ReadBack(bytes);
    EXPECT_TRUE(absl::IsInvalidArgument(read.status())) << read.status();
    EXPECT_TRUE(absl::StrContains(read.status().message(), "no backup")) << read.status();
  }
  EXPECT_TRUE(absl::IsNotFound(BackupReader::Open(dir_.File("none")).status()));
}

}  // namespace
}  // namespace raftkv::kv
